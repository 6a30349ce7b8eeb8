# Reliability: alpha, omega, intraclass correlations, multilevel reliability, reliable change.
# Rows of the public bfi data stay in psychTools; their covariance matrices and numbers of rows are written here.
suppressPackageStartupMessages({library(psych); library(lavaan); library(semTools); library(lme4)})
source("r/_write.R")

bfi <- psychTools::bfi[, 1:25]
bfi <- bfi[complete.cases(bfi), ]
turned <- c("A1", "C4", "C5", "E1", "E2", "O2", "O5")
bfi[turned] <- 7 - bfi[turned]
scales <- list(agreeableness = paste0("A", 1:5), conscientiousness = paste0("C", 1:5), neuroticism = paste0("N", 1:5),
               openness = paste0("O", 1:5), three = c("N1", "N2", "N3"))

# psych stops its search for minres early; the same least squares, searched to the end.
minres <- function(R) {
  k <- nrow(R)
  off <- lower.tri(R)
  misfit <- function(x) sum((R - tcrossprod(x))[off]^2)
  slope <- function(x) { E <- R - tcrossprod(x); diag(E) <- 0; as.vector(-2 * E %*% x) }
  best <- list(par = rep(sqrt(mean(abs(R[off]))), k))
  for (i in 1:20) best <- optim(best$par, misfit, slope, method = "BFGS", control = list(reltol = 1e-16, maxit = 5000))
  1 - sum(1 - best$par^2) / sum(R)
}

of_scale <- function(items) {
  x <- bfi[items]
  k <- length(items)
  a <- suppressWarnings(alpha(x))
  feldt <- alpha.ci(a$total$raw_alpha, n.obs = nrow(x), n.var = k)
  o <- suppressWarnings(suppressMessages(omega(x, nfactors = 1, plot = FALSE)))
  syntax <- paste0("f =~ NA*", items[1], " + ", paste0("l", seq_along(items), "*", items, collapse = " + "), "\nf ~~ 1*f\n",
                   paste0(items, " ~~ e", seq_along(items), "*", items, collapse = "\n"), "\n",
                   "common := (", paste0("l", 1:k, collapse = "+"), ")^2\n",
                   "w := common / (common + ", paste0("e", 1:k, collapse = "+"), ")")
  # At this tolerance nlminb ends where no step helps and calls that false convergence; the gradient is checked instead.
  fit <- cfa(syntax, x, control = list(rel.tol = 1e-14, x.tol = 1e-12), optim.force.converged = TRUE)
  stopifnot(lavInspect(fit, "converged"), max(abs(lavTech(fit, "gradient"))) < 1e-6)
  e <- parameterEstimates(fit)
  w <- e[e$lhs == "w", ]
  half <- qnorm(.975) * w$se / (w$est * (1 - w$est))
  list(
    items = items, n = nrow(x), covariance = unname(cov(x)),
    alpha = a$total$raw_alpha, standardised = a$total$std.alpha, mean_r = a$total$average_r, std_error = a$total$ase,
    feldt = c(feldt$lower.ci, feldt$upper.ci),
    item_rest = a$item.stats$r.drop, alpha_without = a$alpha.drop$raw_alpha,
    omega_psych = o$omega.tot, omega_minres = minres(cor(x)),
    omega = w$est, omega_std_error = w$se, omega_logit = plogis(qlogis(w$est) + c(-half, half)),
    omega_implied_semtools = unname(compRelSEM(fit, obs.var = FALSE)), omega_observed_semtools = unname(compRelSEM(fit))
  )
}

agreement <- function(x, level) {
  r <- ICC(x, lmer = FALSE, alpha = 1 - level)$results
  data.frame(coefficient = r$type, estimate = r$ICC, statistic = r$F, df1 = r$df1, df2 = r$df2, p_value = r$p,
             conf_low = r$`lower bound`, conf_high = r$`upper bound`)
}
shrout <- matrix(c(9, 2, 5, 8, 6, 1, 3, 2, 8, 4, 6, 8, 7, 1, 2, 6, 10, 5, 6, 9, 6, 2, 4, 7), ncol = 4, byrow = TRUE)
set.seed(20)
retest <- round(50 + rep(rnorm(40, 0, 8), 2) + c(rnorm(40, 0, 3), rnorm(40, -1.5, 3)), 1)
retest <- matrix(retest, ncol = 2)

# Shrout & Lane 2012, the example of psych::multilevel.reliability: five persons, four days, three items.
lane <- data.frame(
  patient = rep(1:5, 4), session = rep(1:4, each = 5),
  item_1 = c(2, 3, 6, 3, 7, 3, 5, 6, 3, 8, 4, 4, 7, 5, 6, 1, 5, 8, 8, 6),
  item_2 = c(3, 4, 6, 4, 8, 3, 7, 7, 5, 8, 2, 6, 8, 6, 7, 3, 9, 9, 7, 8),
  item_3 = c(6, 4, 5, 3, 7, 4, 7, 8, 9, 9, 5, 7, 9, 7, 8, 4, 7, 9, 9, 6))
# Unbalanced: 40 patients with two to five sessions, some answers missing.
set.seed(21)
uneven <- do.call(rbind, lapply(1:40, function(i) data.frame(patient = i, session = seq_len(2 + i %% 4))))
level <- rnorm(40)[uneven$patient] + rnorm(5, 0, .3)[uneven$session] + rnorm(nrow(uneven), 0, .6)
for (i in 1:4) uneven[[paste0("item_", i)]] <-
  round(3 + .2 * i + level + rnorm(40, 0, .4)[uneven$patient] + rnorm(nrow(uneven), 0, .7))
uneven$item_2[c(3, 50)] <- NA
items_of <- function(frame) grep("item_", names(frame), value = TRUE)

# The coefficients of psych::multilevel.reliability from variances at the optimum, not where lmer stops by default.
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), calc.derivs = FALSE,
                     check.conv.singular = "ignore")
components <- function(frame) {
  long <- do.call(rbind, lapply(items_of(frame), function(i)
    data.frame(patient = factor(frame$patient), session = factor(frame$session), item = i, answer = frame[[i]])))
  crossed <- lmer(answer ~ 1 + (1 | patient) + (1 | session) + (1 | item) + (1 | patient:session) + (1 | patient:item) +
                    (1 | session:item), long, control = tight)
  nested <- lmer(answer ~ 1 + (1 | patient / session), long, control = tight)
  v <- lapply(VarCorr(crossed), c)
  w <- lapply(VarCorr(nested), c)
  m <- length(items_of(frame)); k <- length(unique(frame$session)); e <- sigma(crossed)^2; u <- sigma(nested)^2
  true <- v$patient + v$`patient:item` / m
  other <- v$session + v$`patient:session`
  list(n_obs = nobs(crossed), sessions = k, items = m, R1F = true / (true + e / m), RkF = true / (true + e / (k * m)),
       R1R = true / (true + other + e / m), RkR = true / (true + other / k + e / (k * m)),
       Rc = v$`patient:session` / (v$`patient:session` + e / m),
       RkRn = w$patient / (w$patient + w$`session:patient` / k + u / (k * m)),
       Rcn = w$`session:patient` / (w$`session:patient` + u / m))
}
# For balanced data psych takes the variances from mean squares: exact, and the REML ones where none is negative.
by_psych <- function(frame, balanced) {
  r <- suppressWarnings(suppressMessages(multilevel.reliability(
    frame, grp = "patient", Time = "session", items = items_of(frame), lme = FALSE, lmer = !balanced, aov = balanced)))
  r[c("RkF", "R1R", "RkR", "Rc", if (!balanced) c("RkRn", "Rcn"))]
}

r <- .85; sd <- 6.2
change <- list(reliability = r, sd = sd, change = 8, rci = 8 / (sqrt(2) * sd * sqrt(1 - r)),
               cutoff = (4.1 * 22 + 6.2 * 10) / (4.1 + 6.2))
wilson <- lapply(list(c(0, 20), c(7, 30), c(20, 20)), function(x)
  list(count = x[1], n = x[2], interval = as.vector(prop.test(x[1], x[2], correct = FALSE)$conf.int)))

results <- list(
  scales = lapply(scales, of_scale),
  shrout = list(ratings = shrout, level_95 = agreement(shrout, .95), level_90 = agreement(shrout, .9)),
  retest = list(ratings = retest, level_95 = agreement(retest, .95)),
  lane = list(data = lane, polished = components(lane), psych = by_psych(lane, TRUE)),
  uneven = list(data = uneven, polished = components(uneven), psych = by_psych(uneven, FALSE)),
  change = change, wilson = wilson
)
write_golden("reliability", c("psych", "psychTools", "lavaan", "semTools", "lme4"),
             list(bfi = "psychTools::bfi, complete rows of its 25 items; covariances only"), results)
