# Profile-likelihood intervals with residual variances that differ by group, by maximum likelihood. Fixed effects: roots of
# nlme::lme()'s own log-likelihood with varIdent(), the coefficient times its column taken from the outcome. Standard
# deviations: roots of the dense deviance, one variance held and the others found by nlminb().
source("r/mixed_common.R")
suppressPackageStartupMessages(library(nlme))
therapy <- subset(read_therapy("therapy_small"), !is.na(outcome))
arms <- levels(therapy$arm)
y <- therapy$outcome
X <- model.matrix(~ week + arm, therapy)
same <- outer(as.character(therapy$patient), as.character(therapy$patient), "==") * 1
strata <- lapply(arms, function(a) diag(as.numeric(therapy$arm == a)))
G <- c(list(same), strata)

optimum <- dense_newton(y, X, G, c(50, 30, 50, 50), FALSE)
minimum <- dense_criterion(y, X, G, optimum, FALSE)
quantile <- qchisq(.95, 1)
root <- function(rise, near, far) {
  while (rise(far) < 0) far <- far + (far - near)
  uniroot(rise, sort(c(near, far)), tol = 1e-11)$root
}
ends <- function(rise, estimate, step, lowest = -Inf) {
  low <- if (is.finite(lowest) && rise(lowest) < 0) lowest else root(rise, estimate, max(estimate - step, lowest))
  c(low, root(rise, estimate, estimate + step))
}

# All other variances at their best, in logarithms; from two starts.
held_sd <- function(j) function(sd) {
  fn <- function(u) dense_criterion(y, X, G, append(exp(u), sd^2, j - 1), FALSE)
  best <- sapply(c(1, 1.5), function(scale) {
    start <- log(scale * optimum[-j])
    for (round in 1:3) start <- nlminb(start, fn, control = list(rel.tol = 1e-15, x.tol = 1e-13, eval.max = 1e4, iter.max = 1e4))$par
    fn(start)
  })
  min(best) - minimum - quantile
}
sds <- sqrt(optimum)
variance_rows <- t(sapply(seq_along(sds), function(j) ends(held_sd(j), sds[j], sds[j] / 4, .02 * sds[j])))

lme_deviance <- function(frame, formula) {
  control <- lmeControl(opt = "nlminb", msMaxIter = 500, maxIter = 500, tolerance = 1e-12, msTol = 1e-14, niterEM = 100)
  fit <- lme(formula, frame, random = ~ 1 | patient, weights = varIdent(form = ~ 1 | arm), method = "ML",
             control = control)
  -2 * as.numeric(logLik(fit))
}
gap <- lme_deviance(therapy, outcome ~ week + arm) - minimum
message("lme against dense: ", format(gap, digits = 2))
stopifnot(abs(gap) < 1e-7)
held_coefficient <- function(j) function(b) {
  frame <- therapy
  frame$held <- y - b * X[, j]
  frame$rest <- X[, -j, drop = FALSE]
  lme_deviance(frame, held ~ 0 + rest) - minimum - quantile
}
state <- dense_state(y, X, G, optimum)
beta <- state$beta
fixed_rows_ <- t(sapply(seq_along(beta), function(j) ends(held_coefficient(j), beta[[j]], 2 * sqrt(state$Phi[j, j]))))

rows <- data.frame(
  term = c(colnames(X), "sd(Intercept)", rep("sd(residual)", length(arms))),
  group = c(rep("", length(beta)), "patient", arms), estimate = c(unname(beta), sds),
  conf_low = c(fixed_rows_[, 1], variance_rows[, 1]), conf_high = c(fixed_rows_[, 2], variance_rows[, 2]))
print(rows)
results <- list(small = list(formula = "outcome ~ week + arm + (1 | patient)", method = "ML", data = "therapy_small",
                             strata = "arm", level = .95, criterion = minimum, exact = rows))
write_golden("profile_unequal", c("nlme", "lme4"), list(therapy_small = mixed_path("therapy_small")), results)
