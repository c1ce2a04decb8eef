//! Choice of the instruction set at run time.

use pulp::{Arch, Scalar, Simd, WithSimd};

/// Instructions that the block kernels run on. All give the same bits: the kernels do the same
/// operations in the same order on every lane, and a fused multiply-add rounds once everywhere.
#[derive(Debug, Clone, Copy)]
pub struct Dispatch(Option<Arch>);

impl Dispatch {
    /// The widest instructions that this CPU has.
    pub fn detect() -> Self {
        Self(Some(Arch::new()))
    }

    /// Plain instructions and `libm`'s fused multiply-add: slow, on every CPU.
    pub const fn scalar() -> Self {
        Self(None)
    }

    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Some(arch) => arch.dispatch(Vectorised(kernel)),
            None => Vectorised(kernel).with_simd(Scalar::new()),
        }
    }
}

impl Default for Dispatch {
    fn default() -> Self {
        Self::detect()
    }
}

/// A fused multiply-add.
pub(crate) trait MulAdd {
    /// a b + c, rounded once.
    fn mul_add(a: f64, b: f64, c: f64) -> f64;
}

/// The CPU's own instruction, where the kernel is compiled for a CPU that has it.
pub(crate) struct Fused;

/// Software.
pub(crate) struct Exact;

impl MulAdd for Fused {
    #[inline(always)]
    fn mul_add(a: f64, b: f64, c: f64) -> f64 {
        a.mul_add(b, c)
    }
}

impl MulAdd for Exact {
    #[inline(always)]
    fn mul_add(a: f64, b: f64, c: f64) -> f64 {
        libm::fma(a, b, c)
    }
}

/// A loop over blocks of plain arrays. Inlined into a function for each instruction set, it is
/// vectorised for that set by the compiler: every inner loop runs over [`LANES`](crate::LANES)
/// independent lanes.
pub(crate) trait Kernel {
    type Output;
    fn run<M: MulAdd>(self) -> Self::Output;
}

struct Vectorised<K>(K);

impl<K: Kernel> WithSimd for Vectorised<K> {
    type Output = K::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> K::Output {
        if S::IS_SCALAR { self.0.run::<Exact>() } else { self.0.run::<Fused>() }
    }
}
