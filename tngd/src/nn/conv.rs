//! Two-dimensional convolution without padding.

use super::{
    At, Layer,
    linear::{Factors, Linear},
};
use crate::model::ModelError;

/// A convolution of images (rows × columns × channels, channels innermost) with square kernels,
/// without padding. Outputs are images of the same order. Parameters: for each output channel the
/// kernel (rows × columns × input channels), then its bias.
#[derive(Debug, Clone, Copy)]
pub struct Conv2d {
    rows: usize,
    columns: usize,
    channels: usize,
    kernel: usize,
    stride: usize,
    out_channels: usize,
}

impl Conv2d {
    /// For images of `rows` × `columns` × `channels`.
    ///
    /// # Errors
    /// A size of 0, or a kernel larger than the image.
    pub fn new(
        [rows, columns, channels]: [usize; 3],
        kernel: usize,
        stride: usize,
        out_channels: usize,
    ) -> Result<Self, ModelError> {
        if [rows, columns, channels, kernel, stride, out_channels].contains(&0) {
            return Err(ModelError::Shape("a convolution has a size of 0: all must be at least 1"));
        }
        if kernel > rows.min(columns) {
            return Err(ModelError::Shape(
                "a convolution's kernel is larger than its image: take a smaller kernel",
            ));
        }
        Ok(Self { rows, columns, channels, kernel, stride, out_channels })
    }

    /// Rows, columns and channels of the output.
    pub fn out_shape(&self) -> [usize; 3] {
        let places = |size: usize| (size - self.kernel) / self.stride + 1;
        [places(self.rows), places(self.columns), self.out_channels]
    }

    fn positions(&self) -> usize {
        let [rows, columns, _] = self.out_shape();
        rows * columns
    }

    fn patch(&self) -> usize {
        self.kernel * self.kernel * self.channels
    }

    fn linear(&self) -> Linear {
        Linear { width: self.patch() + 1, outputs: self.out_channels }
    }

    /// Offset in an image of the first value under the kernel, for every position.
    fn corners(&self) -> impl Iterator<Item = usize> {
        let [rows, columns, _] = self.out_shape();
        let (across, stride, channels) = (self.columns, self.stride, self.channels);
        (0..rows).flat_map(move |i| (0..columns).map(move |j| (i * across + j) * stride * channels))
    }

    /// Patches of all images, each followed by `last` if there is one.
    pub(super) fn patches(&self, images: &[f32], last: Option<f32>) -> Vec<f32> {
        match self.kernel * self.channels {
            3 => self.patches_by::<3>(images, last),
            5 => self.patches_by::<5>(images, last),
            7 => self.patches_by::<7>(images, last),
            _ => self.patches_by::<0>(images, last),
        }
    }

    /// The same, for rows of a patch of `RUN` values; 0 stands for any number. Short copies of a
    /// length that the compiler knows are several times faster.
    fn patches_by<const RUN: usize>(&self, images: &[f32], last: Option<f32>) -> Vec<f32> {
        let width = self.patch() + usize::from(last.is_some());
        let run = if RUN == 0 { self.kernel * self.channels } else { RUN };
        let (across, [rows, columns, _]) = (self.columns * self.channels, self.out_shape());
        let examples = images.len() / self.inputs();
        let mut patches = vec![0.0; examples * self.positions() * width];
        let mut out = patches.chunks_exact_mut(width);
        for image in images.chunks_exact(self.inputs()) {
            for i in 0..rows {
                for j in 0..columns {
                    let from = (i * self.columns + j) * self.stride * self.channels;
                    let (image, out) = (&image[from..], out.next().expect("a patch a position"));
                    for row in 0..self.kernel {
                        out[row * run..][..run].copy_from_slice(&image[row * across..][..run]);
                    }
                    if let Some(last) = last {
                        out[width - 1] = last;
                    }
                }
            }
        }
        patches
    }
}

impl Layer for Conv2d {
    fn inputs(&self) -> usize {
        self.rows * self.columns * self.channels
    }

    fn outputs(&self) -> usize {
        self.positions() * self.out_channels
    }

    fn params(&self) -> usize {
        self.linear().params()
    }

    fn init(&self, normals: &mut dyn Iterator<Item = f64>, theta: &mut [f32]) {
        self.linear().init(normals, theta);
    }

    fn forward(&self, theta: &[f32], x: &[f32], y: &mut [f32], saved: &mut Vec<f32>) {
        *saved = self.patches(x, Some(1.0));
        self.linear().forward(theta, saved, false, y);
    }

    fn pullback(&self, at: &At, dy: &[f32], dx: &mut [f32]) {
        let mut patches = vec![0.0; dy.len() / self.out_channels * self.patch()];
        self.linear().pullback(at.theta, dy, &mut patches);
        dx.fill(0.0);
        let (run, across) = (self.kernel * self.channels, self.columns * self.channels);
        let mut patches = patches.chunks_exact(self.patch());
        for image in dx.chunks_exact_mut(self.inputs()) {
            for (corner, patch) in self.corners().zip(&mut patches) {
                for (row, values) in patch.chunks_exact(run).enumerate() {
                    let image = &mut image[corner + row * across..][..run];
                    image.iter_mut().zip(values).for_each(|(x, v)| *x += v);
                }
            }
        }
    }

    fn pushforward(&self, at: &At, dx: Option<&[f32]>, dtheta: &[f32], dy: &mut [f32]) {
        self.linear().forward(dtheta, at.saved, false, dy);
        if let Some(dx) = dx {
            self.linear().add_pushforward(at.theta, &self.patches(dx, None), dy);
        }
    }

    fn gradient(&self, at: &At, dy: &[f32], dtheta: &mut [f32]) {
        self.linear().gradient(at.saved, dy, dtheta);
    }

    fn gram_rows(&self, at: &At, dy: &[f32], rows: &mut Vec<f32>) {
        self.linear().gram_rows(self.positions(), at.saved, dy, rows);
    }

    fn add_gram(&self, at: &At, rows: &[f32], gram: &mut [f32]) {
        self.linear().add_gram(self.positions(), at.saved, rows, gram);
    }

    fn factors<'a>(&self, at: &At<'a>, dy: &'a [f32]) -> Option<Factors<'a>> {
        Some(self.linear().factors(self.positions(), at.saved, dy))
    }
}
