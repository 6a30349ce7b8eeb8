# Differences in the probability of still being in therapy after a number of sessions, alliance 7 less alliance 3 and arm 0 as
# reference: discrete-time hazards of glm and glmer, integrated over the therapists; Cox's model (Breslow's ties) as the Poisson
# regression with a free baseline that it equals, whose joint covariance holds the baseline. Errors by the delta method, with
# differences of the whole calculation. Data: survival_sessions (r/survival_datasets.R).
source("r/_write.R")
suppressPackageStartupMessages({library(lme4); library(numDeriv); library(survival)})
sessions <- read.csv(data_path("survival_sessions"))
exact <- glm.control(epsilon = 1e-15, maxit = 100)
cases <- expand.grid(k = c(3, 11), arm = 0:1)
each <- function(chance, at, V) lapply(seq_len(nrow(cases)), function(i) {
  k <- cases$k[i]
  less <- function(p) chance(p, 7, cases$arm[i], k) - chance(p, 3, 0, k)
  g <- grad(less, at)
  list(k = k, arm = cases$arm[i], estimate = less(at), std_error = sqrt(c(g %*% V %*% g)))
})

control <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-13,
                        optCtrl = list(rhoend = 1e-9, maxfun = 1e6), check.conv.singular = "ignore")
mixed <- function(link, nAGQ) {
  formula <- drop ~ session + alliance + arm + (1 | therapist)
  f <- glmer(formula, sessions, binomial(link), nAGQ = nAGQ, control = control)
  f <- glmer(formula, sessions, binomial(link), nAGQ = nAGQ, control = control,
             start = list(theta = getME(f, "theta"), fixef = fixef(f)))
  at <- c(getME(f, "theta")[[1]], fixef(f))
  V <- 2 * solve(hessian(update(f, devFunOnly = TRUE), at))
  inverse <- make.link(link)$linkinv
  chance <- function(p, alliance, arm, k) {
    eta <- drop(cbind(1, 1:k, alliance, arm) %*% p[-1])
    one <- function(u) sapply(u, function(v) prod(1 - inverse(eta + p[1] * v)))
    integrate(function(u) one(u) * dnorm(u), -9, 9, rel.tol = 1e-12, subdivisions = 2000)$value
  }
  each(chance, at, V)
}

plain <- glm(drop ~ session + alliance + arm, binomial("cloglog"), sessions, control = exact)
discrete <- function(p, alliance, arm, k) exp(-sum(exp(cbind(1, 1:k, alliance, arm) %*% p)))

left <- sort(unique(sessions$stop[sessions$drop == 1]))
events <- subset(sessions, stop %in% left)
free <- glm(drop ~ 0 + factor(stop) + alliance + arm, poisson, events, control = exact)
cox <- coxph(Surv(start, stop, drop) ~ alliance + arm, sessions, ties = "breslow")
stopifnot(max(abs(coef(free)[c("alliance", "arm")] - coef(cox))) < 1e-6)
baseline <- function(p, alliance, arm, k) {
  n <- length(left)
  exp(-sum(exp(p[seq_len(n)][left <= k])) * exp(alliance * p[n + 1] + arm * p[n + 2]))
}
write_golden("completion", c("lme4", "numDeriv", "survival"), data_path("survival_sessions"), list(
  glm = each(discrete, coef(plain), vcov(plain)),
  laplace = mixed("cloglog", 1), agq15 = mixed("cloglog", 15), logit15 = mixed("logit", 15),
  cox = each(baseline, coef(free), vcov(free))
))
