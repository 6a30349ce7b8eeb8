"""Linear mixed models on arrays: y = Xβ + Σ_l Z_l b_l + ε, b_l ~ N(0, σ²Ψ_l), Ψ_l = Λ_l Λ_l' (Bates et al. 2015).

θ holds the free elements of the lower triangular Λ_l, finest level first. The criterion is −2 log (restricted) likelihood,
profiled over β and σ². Source: doi 10.18637/jss.v067.i01; the recursion is block Gaussian elimination of the random effects.
"""
