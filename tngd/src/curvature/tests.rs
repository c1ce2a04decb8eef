use super::*;
use crate::{
    linalg::dot,
    loss::{Loss, Targets},
    model::Model,
    nn::{
        Batch, Conv2d, Dense, Layer, NetworkModel, Tanh,
        tests::{case, cases, close, models, random},
    },
};

#[test]
fn curvature_is_that_of_the_definition() {
    for kind in [Kind::GaussNewton, Kind::EmpiricalFisher] {
        for (case, loss, targets) in models() {
            let (b, d, n) = (case.examples, case.network.outputs(), case.network.params());
            let jacobian = case.jacobian();
            let z = case.tape().outputs().to_vec();
            let residual = loss.evaluate(&z, &targets, d).unwrap().gradient;
            // H of an example, from the definition.
            let hessian = |example: usize, i: usize, j: usize| -> f64 {
                let r = &residual[example * d..][..d];
                let diagonal = if i == j { 1.0 } else { 0.0 };
                match (kind, loss) {
                    (Kind::EmpiricalFisher, _) => f64::from(r[i]) * f64::from(r[j]),
                    (_, Loss::Squared) => diagonal,
                    (_, Loss::SoftmaxCrossEntropy) => {
                        let z = &z[example * d..][..d];
                        let sum: f64 = z.iter().map(|&z| f64::from(z).exp()).sum();
                        let p = |i: usize| f64::from(z[i]).exp() / sum;
                        diagonal * p(i) - p(i) * p(j)
                    }
                }
            };
            let mut g = vec![0.0f64; n * n];
            for example in 0..b {
                for i in 0..d {
                    for j in 0..d {
                        let h = hessian(example, i, j) / b as f64;
                        for (k, a) in jacobian.iter().enumerate() {
                            let ha = h * f64::from(a[example * d + i]);
                            for (l, c) in jacobian.iter().enumerate() {
                                g[k * n + l] += ha * f64::from(c[example * d + j]);
                            }
                        }
                    }
                }
            }
            let model = NetworkModel { network: case.network, loss, kind };
            let batch = Batch { inputs: case.x, targets };
            let curvature = model.output_curvature(&case.theta, &batch).unwrap();
            let v = random(11, n);
            let expected: Vec<f32> = g
                .chunks_exact(n)
                .map(|row| row.iter().zip(&v).map(|(g, &v)| g * f64::from(v)).sum::<f64>() as f32)
                .collect();
            let what = format!("{kind:?} {loss:?} {}", case.name);
            let mut out = vec![f32::NAN; n];
            curvature.product(&v, &mut out);
            close(&out, &expected, 2e-5, &what);

            // G v = Bᵀ(B v), and the Gram matrix is B Bᵀ.
            let rank = curvature.rank();
            let mut bv = vec![f32::NAN; rank];
            curvature.b_product(&v, &mut bv);
            curvature.bt_product(&bv, &mut out);
            close(&out, &expected, 2e-5, &what);
            let gram = curvature.gram();
            let w = random(12, rank);
            let mut bbw = vec![0.0; rank];
            curvature.bt_product(&w, &mut out);
            curvature.b_product(&out, &mut bbw);
            let product: Vec<f32> =
                gram.chunks_exact(rank).map(|row| dot(row, &w) as f32).collect();
            close(&product, &bbw, 2e-5, &what);
        }
    }
}

#[test]
fn kronecker_factors_of_one_example_are_exact() {
    // E[a aᵀ] ⊗ E[δ δᵀ] is E[a aᵀ ⊗ δ δᵀ] where there is one a: one example, one position.
    let conv = Conv2d::new([3, 3, 2], 3, 1, 4).unwrap();
    let layers: Vec<Box<dyn Layer>> =
        vec![Box::new(conv), Box::new(Tanh { size: 4 }), Box::new(Dense { inputs: 4, outputs: 3 })];
    let case = case("one position", layers, random(14, 18));
    let model = NetworkModel::new(case.network, Loss::SoftmaxCrossEntropy);
    let batch = Batch { inputs: case.x, targets: Targets::Labels(vec![2]) };
    let curvature = model.output_curvature(&case.theta, &batch).unwrap();
    let all = curvature.kronecker();
    assert_eq!(all.iter().map(|f| f.layer).collect::<Vec<_>>(), [0, 2]);
    for factor in all {
        let (m, o) = (factor.width, factor.outputs);
        let from = factor.params.start;
        let block = random(15, m * o);
        let mut v = vec![0.0; model.params()];
        v[from..from + m * o].copy_from_slice(&block);
        let mut out = vec![0.0; model.params()];
        curvature.product(&v, &mut out);
        // Γ V A.
        let expected: Vec<f32> = (0..m * o)
            .map(|at| {
                let (i, j) = (at / m, at % m);
                let entry = |k: usize, l: usize| {
                    factor.gamma[i * o + k] * block[k * m + l] * factor.a[l * m + j]
                };
                (0..o).map(|k| (0..m).map(|l| entry(k, l)).sum::<f32>()).sum()
            })
            .collect();
        close(&out[from..from + m * o], &expected, 1e-4, "block");
    }
}

#[test]
fn kronecker_factors_are_means_over_the_batch() {
    let case = cases().swap_remove(1);
    let d = case.network.outputs();
    let columns = random(16, case.examples * 2 * d);
    let tape = case.tape();
    let mut checked = 0;
    case.network.factors(&case.theta, &tape, &columns, |layer, factors| {
        let curvature =
            OutputCurvature::new(&case.network, &case.theta, tape.clone(), columns.clone());
        let of = curvature.kronecker().into_iter().find(|f| f.layer == layer).unwrap();
        let trace = |m: &[f32], n: usize| (0..n).map(|i| m[i * n + i]).sum::<f32>();
        let b = case.examples as f64;
        let a = dot(factors.a, factors.a) / b;
        let gamma = dot(factors.delta, factors.delta) / (b * factors.positions as f64);
        close(
            &[trace(&of.a, of.width), trace(&of.gamma, of.outputs)],
            &[a as f32, gamma as f32],
            1e-5,
            "traces",
        );
        checked += 1;
    });
    assert_eq!(checked, 3);
}
