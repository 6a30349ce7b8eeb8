# Average marginal effects of mixed models for shares and counts: means over the rows, each integrated over the random
# effects by integrate(); standard errors by differences of the whole calculation and the Hessian of the deviance in all
# parameters. "typical" is at random effects of zero, as the margins package does for glm.
source("r/_write.R")
suppressPackageStartupMessages({library(lme4); library(numDeriv)})
control <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-13,
                        optCtrl = list(rhoend = 1e-9, maxfun = 1e6), check.conv.singular = "ignore")
fit <- function(formula, data, family, nAGQ) {
  f <- glmer(formula, data, family = family, nAGQ = nAGQ, control = control)
  f <- glmer(formula, data, family = family, nAGQ = nAGQ, control = control,
             start = list(theta = getME(f, "theta"), fixef = fixef(f)))
  H <- hessian(update(f, devFunOnly = TRUE), c(getME(f, "theta"), fixef(f)))
  list(f = f, V = 2 * solve(H), at = c(getME(f, "theta"), fixef(f)))
}
# Mean over rows of size × E[μ(Xβ + sd·u)].
average <- function(parameters, X, size, inverse, typical) {
  eta <- drop(X %*% parameters[-1])
  each <- if (typical) inverse(eta) else vapply(eta, function(e)
    integrate(function(u) inverse(e + parameters[1] * u) * dnorm(u), -9, 9, rel.tol = 1e-11, subdivisions = 1000)$value, 0)
  mean(size * each)
}
moved <- function(data, name, by) { data[[name]] <- data[[name]] + by; data }
set_to <- function(data, name, value) { data[[name]] <- value; data }
effects <- function(m, data, right, size, inverse, level, slope) {
  X <- function(d) model.matrix(right, d)
  h <- 1e-4
  out <- list()
  for (typical in c(FALSE, TRUE)) {
    a <- function(d) { M <- X(d); function(p) average(p, M, size, inverse, typical) }
    one <- a(set_to(data, level, 1)); zero <- a(set_to(data, level, 0))
    up <- a(moved(data, slope, h)); down <- a(moved(data, slope, -h)); more <- a(moved(data, slope, 1)); same <- a(data)
    parts <- list(mean_0 = zero, mean_1 = one, difference = function(p) one(p) - zero(p),
                  slope = function(p) (up(p) - down(p)) / (2 * h), unit = function(p) more(p) - same(p))
    out[[if (typical) "typical" else "population"]] <- lapply(parts, function(part) {
      g <- grad(part, m$at, method = "simple", method.args = list(eps = 1e-5))
      b <- grad(part, m$at, method = "simple", method.args = list(eps = -1e-5))
      g <- (g + b) / 2
      list(estimate = part(m$at), std_error = sqrt(c(g %*% m$V %*% g)))
    })
  }
  out
}
adherence <- read.csv(data_path("glmm_adherence"))
therapy <- read.csv(data_path("glmm_sessions"))
therapy$late <- as.integer(therapy$session > 3)
done <- fit(cbind(completed, assigned - completed) ~ alliance * arm + severity + (1 | therapist), adherence, binomial(), 1)
seen <- fit(attended ~ x + late + (1 | patient), therapy, binomial("probit"), 25)
count <- fit(exercises ~ x * late + (1 | patient), therapy, poisson(), 1)
write_golden("marginal_effects", c("lme4", "numDeriv"), c(data_path("glmm_adherence"), data_path("glmm_sessions")), list(
  completed = effects(done, adherence, ~ alliance * arm + severity, adherence$assigned, plogis, "arm", "alliance"),
  completed_share = effects(done, adherence, ~ alliance * arm + severity, 1, plogis, "arm", "alliance"),
  attended = effects(seen, therapy, ~ x + late, 1, pnorm, "late", "x"),
  exercises = effects(count, therapy, ~ x * late, 1, exp, "late", "x")
))
