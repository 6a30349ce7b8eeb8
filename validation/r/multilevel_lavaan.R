# 2-1-1 and 2-2-1 as two-level structural equation models. The mediator's variance within is a parameter, as it is in a model
# of mediator and outcome; lavaan by default takes an exogenous variable's variance as known.
source("r/_write.R")
suppressPackageStartupMessages(library(lavaan))
d <- read.csv(data_path("multilevel_211"))
fitted_model <- function(text) {
  # Tighter tolerances than lavaan's own end without convergence: its estimates have about five digits.
  f <- sem(text, d, cluster = "therapist", fixed.x = FALSE)
  stopifnot(lavInspect(f, "converged"))
  f
}
rows <- function(f) {
  p <- parameterEstimates(f)
  p <- p[nchar(p$label) > 0, ]
  lapply(split(p, p$label), function(r) list(estimate = r$est, std_error = r$se))
}
latent <- fitted_model("level: 1\n outcome ~ b_within*alliance\n alliance ~~ s2m*alliance\n outcome ~~ s2y*outcome
level: 2\n alliance ~ a*arm\n outcome ~ b_between*alliance + c_prime*arm\n indirect := a*b_between
 total := a*b_between + c_prime")
upper <- fitted_model("level: 1\n later ~~ s2y*later
level: 2\n fidelity ~ a*arm\n later ~ b*fidelity + c_prime*arm\n fidelity ~~ s2m*fidelity
 indirect := a*b\n total := a*b + c_prime")
arm <- tapply(d$arm, d$therapist, mean)
share <- mean(arm)
# With the exposure's distribution taken out again: that of a 0/1 column treated as normal with its own moments.
exposure <- sum(dnorm(arm, share, sqrt(mean((arm - share)^2)), log = TRUE))
write_golden("multilevel_lavaan", "lavaan", "multilevel_211", list(
  latent = c(rows(latent), log_likelihood = as.numeric(logLik(latent)) - exposure),
  upper = c(rows(upper), log_likelihood = as.numeric(logLik(upper)) - exposure)))
