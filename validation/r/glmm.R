# Generalised mixed models: glmer with a tightened optimiser and mode, glmmTMB for families with a dispersion parameter.
# Data: cbpp and grouseticks of lme4 (GPL), and two synthetic sets with therapists.
source("r/_write.R")
suppressPackageStartupMessages({library(lme4); library(glmmTMB)})
RNGversion("4.2.0")
key <- function(name) paste0("glmm_", name)
plain <- function(frame) {
  factors <- sapply(frame, is.factor)
  frame[factors] <- lapply(frame[factors], as.character)
  frame
}

# Periods and years as text, so that both programs make treatment contrasts.
cattle <- plain(cbpp)
cattle$period <- paste0("p", cattle$period)
write_data(cattle, key("cbpp"))
ticks <- plain(grouseticks[c("INDEX", "TICKS", "BROOD", "HEIGHT", "YEAR", "LOCATION")])
ticks$YEAR <- paste0("y", ticks$YEAR)
ticks$height <- (ticks$HEIGHT - 462) / 10
write_data(ticks, key("grouseticks"))

# Sessions completed of those assigned, beta-binomial, and a beta proportion; 24 therapists with unequal caseloads.
set.seed(99)
J <- 24; n <- 360
therapist <- sample(1:J, n, TRUE); u <- rnorm(J, 0, .45); arm <- rbinom(n, 1, .5)
alliance <- round(5 + .4 * arm + rnorm(n, 0, .9), 3); severity <- round(rnorm(n), 3)
eta <- -.2 + .45 * (alliance - 5) + .25 * arm - .15 * severity + u[therapist]
mu <- plogis(eta)
assigned <- sample(c(8, 10, 12, 16), n, TRUE)
completed <- rbinom(n, assigned, rbeta(n, mu * 6, (1 - mu) * 6))
share <- rbeta(n, mu * 5, (1 - mu) * 5)
write_adherence <- data.frame(therapist, arm, alliance, severity, assigned, completed,
                              share = round(pmin(pmax(share, 1e-4), 1 - 1e-4), 5))
write.csv(write_adherence, data_path(key("adherence")), row.names = FALSE, quote = FALSE)

# Sessions in patients in therapists, in rooms that cross both: 1 to 7 sessions a patient, caseloads of 1 to 9.
set.seed(20241)
caseload <- c(1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 6, 5)
patients <- sum(caseload)
code <- rep(seq_along(caseload), caseload)
sessions <- sample(1:7, patients, TRUE, prob = 1:7)
i <- rep(seq_len(patients), sessions)
m <- length(i)
session <- sequence(sessions)
room <- sample(1:8, m, TRUE)
x <- round(rnorm(patients, 0, .7)[i] + rnorm(m), 3)
linear <- -.3 + .5 * x + .1 * session + rnorm(patients, 0, .9)[i] + rnorm(patients, 0, .3)[i] * x +
  rnorm(12, 0, .8)[code][i] + rnorm(8, 0, .5)[room]
days <- sample(3:14, m, TRUE)
write_data(data.frame(
  therapist = sprintf("T%02d", code[i]), patient = sprintf("P%03d", i), room = paste0("R", room), session, x,
  attended = rbinom(m, 1, plogis(linear)), days,
  exercises = rnbinom(m, size = 3, mu = days * exp(-1.2 + .6 * linear))
), key("sessions"))

read_glmm <- function(name) read.csv(data_path(key(name)))
adherence <- read_glmm("adherence"); therapy <- read_glmm("sessions")
cattle <- read_glmm("cbpp"); grouse <- read_glmm("grouseticks")

control <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-13,
                        optCtrl = list(rhoend = 1e-9, maxfun = 1e6), check.conv.singular = "ignore")
random_part <- function(v) {
  table <- as.data.frame(v)
  table <- table[!is.na(table$var1) & table$grp != "Residual", ]
  lapply(seq_len(nrow(table)), function(k) list(
    group = table$grp[k], first = table$var1[k],
    second = if (is.na(table$var2[k])) NULL else table$var2[k], value = table$sdcor[k]))
}
fit_glmer <- function(formula, data, family, nAGQ = 1, key) {
  f <- glmer(formula, data, family = family, nAGQ = nAGQ, control = control)
  # Polished from its own end: bobyqa stops a little short where the mode moves.
  again <- glmer(formula, data, family = family, nAGQ = nAGQ, control = control,
                 start = list(theta = getME(f, "theta"), fixef = fixef(f)))
  list(data = key, formula = deparse1(formula), family = family$family, link = family$link, nAGQ = nAGQ,
       coefficients = named(fixef(again)), std_error = named(sqrt(diag(as.matrix(vcov(again, use.hessian = TRUE))))),
       random = random_part(VarCorr(again)), deviance = -2 * c(logLik(again)),
       modes = lapply(ranef(again, condVar = FALSE), function(r) as.list(r[[1]])),
       mode_sd = lapply(ranef(again, condVar = TRUE), function(r) {
         p <- attr(r, "postVar"); if (is.list(p)) NULL else as.list(sqrt(p[1, 1, ])) }))
}
tight <- glmmTMBControl(optCtrl = list(iter.max = 1e4, eval.max = 1e4))
fit_tmb <- function(formula, data, family, key) {
  f <- glmmTMB(formula, data, family = family, control = tight)
  s <- summary(f)$coefficients$cond
  # The standard error of the log of the dispersion, from the joint Hessian.
  disp <- if ("d~(Intercept)" %in% rownames(vcov(f, full = TRUE)))
    sqrt(diag(vcov(f, full = TRUE)))[["d~(Intercept)"]] else NULL
  table <- do.call(rbind, lapply(names(VarCorr(f)$cond), function(g) {
    V <- VarCorr(f)$cond[[g]]; data.frame(group = g, term = rownames(V), value = attr(V, "stddev")) }))
  list(data = key, formula = deparse1(formula), family = f$modelInfo$family$family, link = f$modelInfo$family$link,
       coefficients = named(s[, 1]), std_error = named(s[, 2]), dispersion = sigma(f), log_dispersion_se = disp,
       sd = lapply(seq_len(nrow(table)), function(k) as.list(table[k, ])), deviance = -2 * c(logLik(f)))
}

done <- cbind(completed, assigned - completed) ~ alliance + arm + severity + (1 | therapist)
nested <- attended ~ x + session + (1 | patient) + (1 | therapist)
glmer_fits <- list(
  cbpp = fit_glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cattle, binomial(), 1, "glmm_cbpp"),
  cbpp_agq9 = fit_glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cattle, binomial(), 9, "glmm_cbpp"),
  cbpp_agq25 = fit_glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cattle, binomial(), 25, "glmm_cbpp"),
  completed = fit_glmer(done, adherence, binomial(), 1, "glmm_adherence"),
  completed_agq25 = fit_glmer(done, adherence, binomial(), 25, "glmm_adherence"),
  completed_probit = fit_glmer(done, adherence, binomial("probit"), 1, "glmm_adherence"),
  completed_cloglog = fit_glmer(done, adherence, binomial("cloglog"), 1, "glmm_adherence"),
  nested = fit_glmer(nested, therapy, binomial(), 1, "glmm_sessions"),
  nested_probit = fit_glmer(nested, therapy, binomial("probit"), 1, "glmm_sessions"),
  nested_cloglog = fit_glmer(nested, therapy, binomial("cloglog"), 1, "glmm_sessions"),
  patient_agq9 = fit_glmer(attended ~ x + session + (1 | patient), therapy, binomial(), 9, "glmm_sessions"),
  patient_agq25 = fit_glmer(attended ~ x + session + (1 | patient), therapy, binomial(), 25, "glmm_sessions"),
  patient_probit_agq25 = fit_glmer(attended ~ x + session + (1 | patient), therapy, binomial("probit"), 25, "glmm_sessions"),
  slope = fit_glmer(attended ~ x + session + (1 + x | therapist), therapy, binomial(), 1, "glmm_sessions"),
  crossed = fit_glmer(attended ~ x + session + (1 | patient) + (1 | room), therapy, binomial(), 1, "glmm_sessions"),
  crossed_slope = fit_glmer(exercises ~ x + session + (1 + x | patient) + (1 | room), therapy, poisson(), 1,
                            "glmm_sessions"),
  ticks = fit_glmer(TICKS ~ YEAR + height + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION), grouse, poisson(), 1,
                    "glmm_grouseticks"),
  boundary = fit_glmer(attended ~ x + session + (1 | patient) + (1 | days), therapy, binomial(), 1, "glmm_sessions"),
  boundary_slope = fit_glmer(attended ~ x + session + (1 + session | room), therapy, binomial(), 1, "glmm_sessions"),
  exposure = fit_glmer(exercises ~ x + session + offset(log(days)) + (1 | patient) + (1 | therapist), therapy, poisson(),
                       1, "glmm_sessions")
)
tmb_fits <- list(
  completed = fit_tmb(done, adherence, binomial(), "glmm_adherence"),
  nested = fit_tmb(nested, therapy, binomial(), "glmm_sessions"),
  betabinomial = fit_tmb(done, adherence, betabinomial(), "glmm_adherence"),
  beta = fit_tmb(share ~ alliance + arm + severity + (1 | therapist), adherence, beta_family(), "glmm_adherence"),
  negativebinomial = fit_tmb(exercises ~ x + session + offset(log(days)) + (1 | patient) + (1 | therapist), therapy,
                             nbinom2(), "glmm_sessions"),
  negativebinomial_crossed = fit_tmb(exercises ~ x + session + (1 | patient) + (1 | room), therapy, nbinom2(),
                                     "glmm_sessions"),
  ticks = fit_tmb(TICKS ~ YEAR + height + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION), grouse, poisson(), "glmm_grouseticks")
)
paths <- lapply(c(cbpp = "cbpp", grouseticks = "grouseticks", adherence = "adherence", sessions = "sessions"),
                function(name) data_path(key(name)))
write_golden("glmm", c("lme4", "glmmTMB", "TMB"), paths, list(glmer = glmer_fits, glmmTMB = tmb_fits))
