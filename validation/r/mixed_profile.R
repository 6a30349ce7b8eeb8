# Profile-likelihood intervals (always ML, also of an REML fit): lme4's, which interpolate, and the roots themselves.
source("r/mixed_common.R")
sleep <- read_mixed("sleepstudy", "Subject")
dyestuff <- read_mixed("dyestuff", "Batch")

# -2 log-likelihood of one grouping factor in (sds, correlation, sigma), the fixed effects at their best.
ml_deviance <- function(formula, data) {
  fn <- lme4::lmer(formula, data, REML = FALSE, devFunOnly = TRUE)
  rho <- environment(fn)
  n <- length(rho$resp$y)
  function(v) {
    sigma <- v[length(v)]
    theta <- if (length(v) == 2) v[1] / sigma else c(v[1], v[2] * v[3], v[2] * sqrt(max(0, 1 - v[3]^2))) / sigma
    fn(theta)
    rho$pp$ldL2() + n * log(2 * pi * sigma^2) + (rho$resp$wrss() + rho$pp$sqrL(1)) / sigma^2
  }
}
# The best over the parameters not held, by two engines in turn. Scaled, so that one tolerance serves them all.
best <- function(fn, start, lower, upper) {
  unit <- pmax(abs(start), .1)
  g <- function(u) fn(u * unit)
  u <- start / unit
  for (round in 1:3) {
    u <- minqa::bobyqa(u, g, lower / unit, upper / unit, control = list(rhobeg = .05, rhoend = 1e-8, maxfun = 1e4))$par
    u <- nlminb(u, g, lower = lower / unit, upper = upper / unit, control = list(rel.tol = 1e-15, x.tol = 1e-12))$par
  }
  list(value = g(u), par = u * unit)
}
# Walks away from the estimate until the deviance has risen enough, then closes in; a bound never reached is the limit.
limit <- function(rise, estimate, step, bound) {
  near <- estimate
  repeat {
    far <- near + step
    if ((far - bound) * sign(step) >= 0) far <- bound
    if (rise(far) > 0) break
    if (far == bound) return(bound)
    near <- far
  }
  uniroot(rise, sort(c(near, far)), tol = 1e-12, maxiter = 500)$root
}
interval <- function(profile, estimate, step, bounds, minimum, level = .95) {
  rise <- function(x) profile(x) - minimum - qchisq(level, 1)
  c(limit(rise, estimate, -step, bounds[1]), limit(rise, estimate, step, bounds[2]))
}
held <- function(fn, j, start, lower, upper) function(x) {
  best(function(rest) fn(append(rest, x, j - 1)), start[-j], lower[-j], upper[-j])$value
}
variance_intervals <- function(formula, data) {
  fit <- fit_lmm(formula, data, FALSE)
  v <- as.data.frame(VarCorr(fit))
  at <- v$sdcor
  lower <- ifelse(is.na(v$var2), 0, -1)
  upper <- ifelse(is.na(v$var2), Inf, 1)
  lower[length(at)] <- at[length(at)] / 50
  names <- ifelse(v$grp == "Residual", "sigma", ifelse(is.na(v$var2), paste0("sd_", v$var1, "|", v$grp),
                                                      paste0("cor_", v$var2, ".", v$var1, "|", v$grp)))
  fn <- ml_deviance(formula, data)
  minimum <- criterion(fit)
  stopifnot(abs(fn(at) - minimum) < 1e-9)
  ends <- sapply(seq_along(at), function(j) {
    interval(held(fn, j, at, lower, upper), at[j], abs(at[j]) / 4 + .05 * !is.na(v$var2[j]), c(lower[j], upper[j]),
             minimum)
  })
  data.frame(parameter = names, estimate = at, conf_low = ends[1, ], conf_high = ends[2, ])
}
# A fixed effect is held at b by taking b times its column from the outcome.
fixed_intervals <- function(formula, data) {
  fit <- fit_lmm(formula, data, FALSE)
  X <- getME(fit, "X")
  se <- sqrt(diag(as.matrix(vcov(fit))))
  ends <- sapply(seq_along(se), function(j) {
    profile <- function(b) {
      frame <- data
      frame$held <- getME(fit, "y") - b * X[, j]
      frame$rest <- X[, -j, drop = FALSE]
      bars <- paste0("(", sapply(findbars(formula), deparse1), ")", collapse = " + ")
      text <- paste("held ~ 0 +", if (ncol(X) > 1) "rest +", bars)
      if (ncol(X) == 1) return(no_fixed_deviance(frame, X[, j] * b + frame$held, b, fit))
      criterion(suppressMessages(lme4::lmer(as.formula(text), frame, REML = FALSE, control = tight(one_start = TRUE))))
    }
    interval(profile, fixef(fit)[[j]], se[j], c(-Inf, Inf), criterion(fit))
  })
  data.frame(parameter = colnames(X), estimate = unname(fixef(fit)), conf_low = ends[1, ], conf_high = ends[2, ])
}
# lmer() wants at least one fixed effect: with none left, the dense deviance at mean b.
no_fixed_deviance <- function(frame, y, b, fit) {
  p <- dense_parts(fit)
  e <- getME(fit, "y") - b
  fn <- function(v) {
    R <- chol(v[1]^2 * p$G[[1]] + v[2]^2 * p$G[[2]])
    2 * sum(log(diag(R))) + sum(backsolve(R, e, transpose = TRUE)^2) + length(e) * log(2 * pi)
  }
  best(fn, sqrt(p$phi), c(0, 1e-3), c(Inf, Inf))$value
}
package_intervals <- function(formula, data) {
  control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5))
  # bobyqa complains of flat steps near a limit at 1e-9; the gaps below tell whether it matters.
  ci <- suppressWarnings(confint(lme4::lmer(formula, data, REML = FALSE, control = control), method = "profile",
                                 oldNames = FALSE, quiet = TRUE))
  data.frame(parameter = rownames(ci), conf_low = ci[, 1], conf_high = ci[, 2], row.names = NULL)
}
profiled <- function(formula, data, key) {
  exact <- rbind(variance_intervals(formula, data), fixed_intervals(formula, data))
  lme4 <- package_intervals(formula, data)
  lme4 <- lme4[match(exact$parameter, lme4$parameter), ]
  off <- c(lme4$conf_low - exact$conf_low, lme4$conf_high - exact$conf_high)
  message("    lme4 against the roots: ", paste(format(off, digits = 1), collapse = " "))
  stopifnot(abs(off) < 5e-3)
  list(formula = deparse1(formula), method = "ML", data = key, level = .95, exact = exact, lme4 = lme4)
}
results <- list(sleepstudy = profiled(Reaction ~ Days + (Days | Subject), sleep, "sleepstudy"),
                dyestuff = profiled(Yield ~ 1 + (1 | Batch), dyestuff, "dyestuff"))
write_golden("mixed_profile", mixed_packages, as.list(sapply(c("sleepstudy", "dyestuff"), mixed_path)), results)
