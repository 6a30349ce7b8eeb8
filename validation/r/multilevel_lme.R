# 1-1-1 by the stacked model of Bauer, Preacher & Gil (2006): nlme::lme() with selectors and varIdent(), and glmmTMB for
# standard errors from the information in all parameters. 2-1-1 with observed means, equation by equation, by lme().
source("r/_write.R")
suppressPackageStartupMessages({library(nlme); library(glmmTMB)})
d <- read.csv(data_path("multilevel_111"))
mean_of <- function(v) ave(v, d$patient)
stack <- function(x, m) {
  xb <- mean_of(d$practice)
  mb <- mean_of(d$alliance)
  rbind(data.frame(d[c("patient", "therapist")], z = d$alliance, Sm = 1, Sy = 0, a = x, b = 0, c_prime = 0,
                   ab = xb, bb = 0, cb = 0),
        data.frame(d[c("patient", "therapist")], z = d$relief, Sm = 0, Sy = 1, a = 0, b = m, c_prime = x,
                   ab = 0, bb = mb, cb = xb))
}
raw <- stack(d$practice, d$alliance)
centred <- stack(d$practice - mean_of(d$practice), d$alliance - mean_of(d$alliance))
# EM steps bring lme() near the optimum, tight tolerances onto it.
control <- lmeControl(maxIter = 2000, msMaxIter = 2000, msMaxEval = 5000, niterEM = 200, tolerance = 1e-12,
                      msTol = 1e-13, returnObject = FALSE)
fixed <- z ~ 0 + Sm + a + Sy + b + c_prime
wide <- z ~ 0 + Sm + a + ab + Sy + b + bb + c_prime + cb
sigmas <- function(f) {
  ratio <- coef(f$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE)
  list(mediator = f$sigma * ratio[["1"]], outcome = f$sigma * ratio[["0"]])
}
report <- function(f, group = "patient") {
  G <- VarCorr(f)
  psi <- lapply(f$modelStruct$reStruct, function(s) matrix_of(as.matrix(s) * f$sigma^2))
  list(fixed = named(fixef(f)), std_error = named(sqrt(diag(vcov(f)))), covariance = psi, sigma = sigmas(f),
       log_likelihood = as.numeric(logLik(f)))
}
run <- function(formula, data, random, method) {
  report(lme(formula, data, random, weights = varIdent(form = ~ 1 | Sm), method = method, control = control))
}
full <- list(patient = pdSymm(~ 0 + Sm + Sy + a + b + c_prime))
two <- list(patient = pdSymm(~ 0 + Sm + Sy + a + b))
apart <- list(patient = pdBlocked(list(pdSymm(~ 0 + Sm), pdSymm(~ 0 + Sy + a + b + c_prime))))
above <- list(therapist = pdSymm(~ 0 + Sm + Sy), patient = pdSymm(~ 0 + Sm + Sy + a + b))
joint <- glmmTMB(z ~ 0 + Sm + a + Sy + b + c_prime + (0 + Sm + Sy + a + b | patient), dispformula = ~ Sm, data = raw)
V <- vcov(joint)$cond
modes <- ranef(lme(fixed, raw, full, weights = varIdent(form = ~ 1 | Sm), control = control))

w <- read.csv(data_path("multilevel_211"))
w$mean <- ave(w$alliance, w$therapist)
w$within <- w$alliance - w$mean
one <- function(formula, method) {
  f <- lme(formula, w, ~ 1 | therapist, method = method, control = control)
  list(fixed = named(fixef(f)), std_error = named(sqrt(diag(vcov(f)))), sd = sqrt(as.numeric(getVarCov(f))),
       sigma = f$sigma, log_likelihood = as.numeric(logLik(f)))
}
means <- function(method) {
  list(mediator = one(alliance ~ arm, method), outcome = one(outcome ~ arm + within + mean, method),
       conflated = one(outcome ~ arm + alliance, method))
}
write_golden("multilevel_lme", c("nlme", "glmmTMB"), c("multilevel_111", "multilevel_211"), list(
  raw = list(REML = run(fixed, raw, full, "REML"), ML = run(fixed, raw, full, "ML")),
  two = list(REML = run(fixed, raw, two, "REML"), ML = run(fixed, raw, two, "ML")),
  centred = list(REML = run(wide, centred, apart, "REML"), ML = run(wide, centred, apart, "ML")),
  above = list(REML = run(fixed, raw, above, "REML")),
  joint = list(log_likelihood = as.numeric(logLik(joint)), std_error = named(sqrt(diag(V))), ab = V["a", "b"]),
  modes = list(patient = rownames(modes)[1:8], a = modes$a[1:8], b = modes$b[1:8], c_prime = modes$c_prime[1:8]),
  means = list(REML = means("REML"), ML = means("ML"))))
