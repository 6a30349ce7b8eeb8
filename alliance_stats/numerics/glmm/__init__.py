"""Generalised linear mixed models on arrays: likelihoods, the mode of the random effects, Laplace and adaptive quadrature."""
