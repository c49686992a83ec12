"""The Gaussian process: objective, fit, posterior, output transforms."""
