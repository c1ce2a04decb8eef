//! Elementwise functions whose slope follows from their value.

use super::{At, Layer};

/// max(x, 0).
#[derive(Debug, Clone, Copy)]
pub struct Relu {
    /// Values per example.
    pub size: usize,
}

/// tanh x.
#[derive(Debug, Clone, Copy)]
pub struct Tanh {
    /// Values per example.
    pub size: usize,
}

/// out = slope(y) · v for every example, where `v` holds one or more columns per example.
fn scale(size: usize, y: &[f32], v: &[f32], out: &mut [f32], slope: impl Fn(f32) -> f32 + Copy) {
    let per_example = v.len() / (y.len() / size);
    pulp::Arch::new().dispatch(|| {
        let examples = v.chunks_exact(per_example).zip(out.chunks_exact_mut(per_example));
        for (y, (v, out)) in y.chunks_exact(size).zip(examples) {
            for (v, out) in v.chunks_exact(size).zip(out.chunks_exact_mut(size)) {
                for ((out, v), &y) in out.iter_mut().zip(v).zip(y) {
                    *out = slope(y) * v;
                }
            }
        }
    });
}

macro_rules! elementwise {
    ($layer:ty, $value:expr, $slope:expr) => {
        impl Layer for $layer {
            fn inputs(&self) -> usize {
                self.size
            }

            fn outputs(&self) -> usize {
                self.size
            }

            fn forward(&self, _theta: &[f32], x: &[f32], y: &mut [f32], _saved: &mut Vec<f32>) {
                let value: fn(f32) -> f32 = $value;
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = value(x));
            }

            fn pullback(&self, at: &At, dy: &[f32], dx: &mut [f32]) {
                scale(self.size, at.y, dy, dx, $slope);
            }

            fn pushforward(&self, at: &At, dx: Option<&[f32]>, _dtheta: &[f32], dy: &mut [f32]) {
                match dx {
                    Some(dx) => scale(self.size, at.y, dx, dy, $slope),
                    None => dy.fill(0.0),
                }
            }
        }
    };
}

elementwise!(Relu, |x| x.max(0.0), |y| if y > 0.0 { 1.0 } else { 0.0 });
elementwise!(Tanh, f32::tanh, |y| 1.0 - y * y);
