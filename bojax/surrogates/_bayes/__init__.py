"""Fully Bayesian hyperparameters of the Gaussian process, by Markov chain Monte Carlo."""
