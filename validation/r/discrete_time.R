# Discrete-time hazards of dropping out: glm without therapists (sandwich for clusters), glmer with therapists, and the
# probability of still being in therapy after a number of sessions, integrated over the therapists by integrate(), with the
# delta method by differences of the whole calculation. Data: survival_sessions (r/survival_datasets.R).
source("r/_write.R")
suppressPackageStartupMessages({library(lme4); library(sandwich); library(numDeriv)})
sessions <- read.csv(data_path("survival_sessions"))
own <- ave(sessions$alliance, sessions$id)
sessions$alliance_within <- sessions$alliance - own
sessions$alliance_between <- own

exact <- glm.control(epsilon = 1e-15, maxit = 100)
fit_glm <- function(formula, link, data = sessions) {
  f <- glm(formula, binomial(link), data, control = exact)
  list(formula = deparse1(formula), link = link, coefficients = named(coef(f)), std_error = named(sqrt(diag(vcov(f)))),
       cluster = named(sqrt(diag(vcovCL(f, data$therapist)))),
       cluster_plain = named(sqrt(diag(vcovCL(f, data$therapist, type = "HC0", cadjust = FALSE)))),
       deviance = -2 * c(logLik(f)), aic = AIC(f), n = nobs(f))
}
plain <- list(
  periods = fit_glm(drop ~ C(session) + alliance + arm, "cloglog",
                    transform(subset(sessions, session < 12), session = factor(session))),
  linear = fit_glm(drop ~ session + alliance + arm, "cloglog"),
  logit = fit_glm(drop ~ session + alliance + arm, "logit"),
  within_between = fit_glm(drop ~ session + alliance_within + alliance_between, "cloglog")
)

control <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-13,
                        optCtrl = list(rhoend = 1e-9, maxfun = 1e6), check.conv.singular = "ignore")
fit_glmer <- function(formula, link, nAGQ) {
  f <- glmer(formula, sessions, binomial(link), nAGQ = nAGQ, control = control)
  f <- glmer(formula, sessions, binomial(link), nAGQ = nAGQ, control = control,
             start = list(theta = getME(f, "theta"), fixef = fixef(f)))
  H <- hessian(update(f, devFunOnly = TRUE), c(getME(f, "theta"), fixef(f)))
  list(fit = f, V = 2 * solve(H))
}
describe <- function(found, formula, link, nAGQ) {
  f <- found$fit
  se <- sqrt(diag(found$V))
  list(formula = deparse1(formula), link = link, nAGQ = nAGQ, coefficients = named(fixef(f)),
       std_error = named(setNames(se[-1], names(fixef(f)))), sd = getME(f, "theta")[[1]], deviance = -2 * c(logLik(f)))
}
by_session <- drop ~ session + alliance + arm + (1 | therapist)
apart <- drop ~ session + alliance_within + alliance_between + (1 | therapist)
runs <- list(laplace = list(by_session, "cloglog", 1), agq15 = list(by_session, "cloglog", 15),
             logit15 = list(by_session, "logit", 15), apart15 = list(apart, "cloglog", 15))
found <- lapply(runs, function(r) fit_glmer(r[[1]], r[[2]], r[[3]]))

# The chance not to have left after k sessions, at a constant alliance; parameters (sd, beta) as in the covariance.
staying <- function(parameters, link, alliance, arm, k) {
  inverse <- make.link(link)$linkinv
  eta <- drop(cbind(1, 1:k, alliance, arm) %*% parameters[-1])
  one <- function(u) sapply(u, function(v) prod(1 - inverse(eta + parameters[1] * v)))
  if (parameters[1] == 0) return(one(0))
  integrate(function(u) one(u) * dnorm(u), -9, 9, rel.tol = 1e-11, subdivisions = 2000)$value
}
chances <- function(key) {
  link <- runs[[key]][[2]]
  f <- found[[key]]
  at <- c(getME(f$fit, "theta")[[1]], fixef(f$fit))
  cases <- expand.grid(alliance = c(3, 5, 7), arm = 0:1, k = c(1, 6, 12))
  lapply(seq_len(nrow(cases)), function(i) {
    case <- cases[i, ]
    g <- grad(function(p) staying(p, link, case$alliance, case$arm, case$k), at)
    c(as.list(case), estimate = staying(at, link, case$alliance, case$arm, case$k), std_error = sqrt(c(g %*% f$V %*% g)))
  })
}
glm_chances <- {
  f <- glm(drop ~ session + alliance + arm, binomial("cloglog"), sessions, control = exact)
  at <- c(0, coef(f))
  lapply(c(1, 6, 12), function(k) {
    g <- grad(function(p) staying(c(0, p), "cloglog", 5, 1, k), at[-1])
    list(alliance = 5, arm = 1, k = k, estimate = staying(at, "cloglog", 5, 1, k), std_error = sqrt(c(g %*% vcov(f) %*% g)))
  })
}
write_golden("discrete_time", c("lme4", "sandwich", "numDeriv"), data_path("survival_sessions"), list(
  glm = plain, glmer = Map(function(f, r) describe(f, r[[1]], r[[2]], r[[3]]), found, runs),
  staying = list(glm = glm_chances, laplace = chances("laplace"), agq15 = chances("agq15"), logit15 = chances("logit15"))
))
