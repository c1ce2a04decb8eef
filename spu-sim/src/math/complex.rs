//! Complex numbers.

use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// A complex number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Complex {
    pub(crate) re: f64,
    pub(crate) im: f64,
}

impl Complex {
    pub(crate) const ZERO: Self = Self { re: 0.0, im: 0.0 };
    pub(crate) const ONE: Self = Self { re: 1.0, im: 0.0 };

    pub(crate) const fn new(re: f64, im: f64) -> Self {
        Self { re, im }
    }

    pub(crate) fn scale(self, factor: f64) -> Self {
        Self::new(self.re * factor, self.im * factor)
    }

    /// Multiplied by the imaginary unit.
    pub(crate) fn times_i(self) -> Self {
        Self::new(-self.im, self.re)
    }

    pub(crate) fn norm_squared(self) -> f64 {
        self.re * self.re + self.im * self.im
    }

    pub(crate) fn norm(self) -> f64 {
        libm::hypot(self.re, self.im)
    }

    pub(crate) fn reciprocal(self) -> Self {
        let squared = self.norm_squared();
        Self::new(self.re / squared, -self.im / squared)
    }

    /// Principal square root.
    pub(crate) fn sqrt(self) -> Self {
        let norm = self.norm();
        if norm == 0.0 {
            return Self::ZERO;
        }
        let larger = (0.5 * (norm + self.re.abs())).sqrt();
        let smaller = 0.5 * self.im.abs() / larger;
        let (re, im) = if self.re >= 0.0 { (larger, smaller) } else { (smaller, larger) };
        Self::new(re, if self.im < 0.0 { -im } else { im })
    }

    pub(crate) fn exp(self) -> Self {
        let modulus = libm::exp(self.re);
        Self::new(modulus * libm::cos(self.im), modulus * libm::sin(self.im))
    }
}

impl Add for Complex {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.re + other.re, self.im + other.im)
    }
}

impl AddAssign for Complex {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Complex {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::new(self.re - other.re, self.im - other.im)
    }
}

impl Mul for Complex {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self::new(self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)
    }
}

impl Neg for Complex {
    type Output = Self;
    fn neg(self) -> Self {
        Self::new(-self.re, -self.im)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn square_root_squares_back_in_every_quadrant() {
        for (re, im) in
            [(3.0, 4.0), (-3.0, 4.0), (-3.0, -4.0), (3.0, -4.0), (-2.0, 0.0), (0.0, 2.0)]
        {
            let z = Complex::new(re, im);
            let root = z.sqrt();
            assert!((root * root - z).norm() < 1e-15 * z.norm(), "{z:?}");
            assert!(root.re >= 0.0);
        }
    }

    #[test]
    fn exponential_of_i_pi() {
        let z = Complex::new(0.5, std::f64::consts::PI).exp();
        assert!((z.re + 0.5_f64.exp()).abs() < 1e-15 && z.im.abs() < 1e-15);
    }
}
