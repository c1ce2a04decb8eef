//! Host driver: the Device trait, links, inversion and sampling on stochastic processing units.
