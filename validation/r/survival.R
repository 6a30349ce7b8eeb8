# Cox regression, curves and tests between groups of the survival package, competing risks of cmprsk.
source("r/_write.R")
suppressPackageStartupMessages({
  library(survival)
  library(cmprsk)
  library(etm)
})
read <- function(name) read.csv(data_path(paste0("survival_", name)))
sessions <- read("sessions")
ends <- read("ends")
ends$tert <- factor(ends$tert, levels = c("low", "mid", "high"))
mixed <- read("mixed")
lung <- read("lung")
rats <- read("rats")
kidney <- read("kidney")
pbc <- read("pbc")

# Driven to the optimum: the default stops at a relative change of 1e-9 of the likelihood.
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100, toler.inf = 1e-8)
fit_of <- function(...) {
  call <- match.call()
  call[[1]] <- quote(coxph)
  call$control <- quote(tight)
  eval(call, parent.frame())
}
rows_of <- function(x) unname(apply(as.matrix(x), 1, function(r) as.list(unname(r)), simplify = FALSE))

describe <- function(fit) {
  s <- summary(fit)
  table <- cox.zph(fit)$table
  list(
    coef = named(coef(fit)), se = unname(sqrt(diag(vcov(fit)))),
    naive_se = if (is.null(fit$naive.var)) NULL else sqrt(diag(fit$naive.var)),
    loglik = fit$loglik, concordance = unname(s$concordance), aic = AIC(fit), bic = BIC(fit),
    zph = list(terms = rownames(table), chisq = unname(table[, 1]), df = unname(table[, 2])),
    martingale = unname(head(residuals(fit, "martingale"), 12)),
    score = unname(colSums(abs(as.matrix(residuals(fit, "score")))))
  )
}
schoenfeld <- function(fit) list(
  raw = unname(as.matrix(residuals(fit, "schoenfeld"))), scaled = unname(as.matrix(residuals(fit, "scaledsch"))))

# Survival of new patients with each kind of interval, and the baseline.
predicted <- function(fit, new, times, id = NULL) {
  one <- function(kind) {
    s <- summary(survfit(fit, newdata = new, conf.type = kind), times = times)
    list(survival = unname(as.matrix(s$surv)), std_error = unname(as.matrix(s$std.err)),
         low = unname(as.matrix(s$lower)), high = unname(as.matrix(s$upper)))
  }
  base <- basehaz(fit, centered = FALSE)
  X <- as.matrix(new[names(coef(fit))]) - rep(colMeans(model.matrix(fit)), each = nrow(new)) # predict() leaves 0/1 uncentred
  list(log = one("log"), loglog = one("log-log"), plain = one("plain"), hazard = base$hazard, time = base$time,
       lp = unname(c(X %*% coef(fit))), lp_se = unname(sqrt(diag(X %*% vcov(fit) %*% t(X)))))
}

cox <- list()
for (ties in c("efron", "breslow")) {
  both <- list(
    baseline = fit_of(Surv(time, status == 1) ~ alliance1 + arm, ends, ties = ties),
    cluster = fit_of(Surv(time, status == 1) ~ alliance1 + arm, ends, ties = ties, cluster = therapist),
    time_varying = fit_of(Surv(start, stop, drop) ~ alliance + arm, sessions, ties = ties),
    time_varying_cluster = fit_of(Surv(start, stop, drop) ~ alliance + arm, sessions, ties = ties, cluster = therapist),
    strata = fit_of(Surv(entry, time, status == 1) ~ x + z + strata(site), mixed, ties = ties),
    strata_cluster = fit_of(Surv(entry, time, status == 1) ~ x + z + strata(site), mixed, ties = ties, cluster = therapist),
    factor = fit_of(Surv(time, status == 1) ~ x * z + site, mixed, ties = ties),
    lung = fit_of(Surv(time, status) ~ age + sex + ph.ecog, lung, ties = ties),
    lung_cluster = fit_of(Surv(time, status) ~ age + sex, lung, ties = ties, cluster = inst),
    pbc = fit_of(Surv(tstart, tstop, death) ~ log(bili) + log(albumin), pbc, ties = ties)
  )
  cox[[ties]] <- lapply(both, describe)
  new <- data.frame(alliance = c(4, 5.5), arm = c(1, 0))
  cox[[ties]]$prediction <- predicted(both$time_varying, new, c(0, 1, 4, 7.5, 12))
  cox[[ties]]$prediction_cluster <- predicted(both$time_varying_cluster, new, c(0, 1, 4, 7.5, 12))
  cox[[ties]]$schoenfeld <- schoenfeld(both$time_varying)
}
transforms <- lapply(c(km = "km", identity = "identity", log = "log", rank = "rank"), function(g)
  unname(cox.zph(fit_of(Surv(time, status == 1) ~ x * z + site, mixed), transform = g)$table[, 1]))

# Frailty with the whole information of the frailties (sparse = FALSE). The default keeps its diagonal alone, which changes
# standard errors, and under REML the variance of normal frailties.
penalised <- suppressWarnings(coxph.control(eps = 1e-13, toler.chol = 1e-15, iter.max = 200, outer.max = 200))
frailty_of <- function(fit, name) {
  h <- fit$history[[1]]
  p <- sum(!grepl(paste0("^", name), names(coef(fit))))
  list(coef = named(coef(fit)[seq_len(p)]), se = unname(sqrt(diag(fit$var))[seq_len(p)]), theta = h$theta,
       c_loglik = h$c.loglik, frail = unname(coef(fit)[-seq_len(p)]))
}
frailty_fits <- suppressWarnings(list(
  rats_gamma = frailty_of(coxph(Surv(time, status) ~ rx + frailty.gamma(litter, sparse = FALSE, eps = 1e-11), rats,
                                control = penalised), "gamma"),
  rats_normal = frailty_of(coxph(Surv(time, status) ~ rx + frailty.gaussian(litter, sparse = FALSE, eps = 1e-11), rats,
                                 control = penalised), "gauss"),
  kidney_gamma = frailty_of(coxph(Surv(time, status) ~ age + sex + frailty.gamma(id, sparse = FALSE, eps = 1e-11), kidney,
                                  control = penalised), "gamma"),
  kidney_normal = frailty_of(coxph(Surv(time, status) ~ age + sex + frailty.gaussian(id, sparse = FALSE, eps = 1e-11), kidney,
                                   control = penalised), "gauss")
))
default <- coxph(Surv(time, status) ~ rx + frailty(litter), rats)
frailty_fits$rats_default <- list(coef = coef(default), se = sqrt(diag(default$var)), theta = default$history[[1]]$theta,
                                  c_loglik = default$history[[1]]$c.loglik)

curve_of <- function(formula, data, kind) {
  s <- summary(survfit(formula, data, conf.type = kind), censored = TRUE)
  list(group = if (is.null(s$strata)) NULL else sub("^.*=", "", as.character(s$strata)), time = s$time, n_risk = s$n.risk,
       n_event = s$n.event, n_censored = s$n.censor, survival = s$surv, std_error = s$std.err, low = s$lower, high = s$upper)
}
kinds <- c(log = "log", loglog = "log-log", plain = "plain")
means <- function(formula, data, tau) {
  table <- summary(survfit(formula, data), rmean = tau)$table
  unname(rows_of(table[, c("rmean", "se(rmean)")]))
}
median_of <- function(formula, data) rows_of(summary(survfit(formula, data, conf.type = "log-log"))$table[, 7:9])
curves <- list(
  ends = lapply(kinds, function(k) curve_of(Surv(time, status == 1) ~ tert, ends, k)),
  entry = lapply(kinds, function(k) curve_of(Surv(entry, time, status == 1) ~ 1, mixed, k)),
  lung = lapply(kinds, function(k) curve_of(Surv(time, status) ~ sex, lung, k)),
  rmst_ends = means(Surv(time, status == 1) ~ tert, ends, 12), rmst_lung = means(Surv(time, status) ~ sex, lung, 600),
  median_lung = median_of(Surv(time, status) ~ sex, lung), median_ends = median_of(Surv(time, status == 1) ~ tert, ends)
)
logrank <- function(...) { s <- survdiff(...); list(chisq = s$chisq, obs = c(as.matrix(s$obs) %*% rep(1, NCOL(s$obs))),
                                                    exp = c(as.matrix(s$exp) %*% rep(1, NCOL(s$exp)))) }
tests <- list(
  ends = logrank(Surv(time, status == 1) ~ tert, ends), peto = logrank(Surv(time, status == 1) ~ tert, ends, rho = 1),
  lung = logrank(Surv(time, status) ~ sex, lung),
  strata = logrank(Surv(time, status == 1) ~ site + strata(z), mixed),
  strata_peto = logrank(Surv(time, status == 1) ~ site + strata(z), mixed, rho = 1),
  # A score test of the Cox model with exact ties handled as Breslow's differs; late entry has no survdiff.
  gray = rows_of(cuminc(ends$time, ends$status, ends$tert)$Tests), gray_mixed = rows_of(cuminc(mixed$time, mixed$status, mixed$site)$Tests),
  gray_strata = rows_of(cuminc(mixed$time, mixed$status, mixed$site, strata = mixed$z)$Tests),
  gray_rho = rows_of(cuminc(mixed$time, mixed$status, mixed$site, rho = 1)$Tests)
)

incidence <- function(formula, data) {
  data$patient <- seq_len(nrow(data))
  s <- survfit(formula, data, id = patient)
  list(time = s$time, pstate = unname(s$pstate[, -1]), se = unname(s$std.err[, -1]),
       group = if (is.null(s$strata)) NULL else rep(sub("^.*=", "", names(s$strata)), s$strata))
}
mixed$end <- factor(mixed$status, 0:2, c("censored", "cause", "other"))
ends$end <- factor(ends$status, 0:2, c("censored", "cause", "other"))
# Greenwood's variance under late entry: survival's is the infinitesimal jackknife, another one there.
late <- etmCIF(Surv(entry, time, status != 0) ~ 1, mixed, etype = status, failcode = 1)
late <- summary(late)[[1]]
at <- sort(unique(mixed$time))
points <- timepoints(cuminc(mixed$time, mixed$status), at)
competing <- list(
  ends = incidence(Surv(time, end) ~ 1, ends), mixed = incidence(Surv(time, end) ~ site, mixed),
  entry = incidence(Surv(entry, time, end) ~ 1, mixed),
  entry_greenwood = lapply(late, function(cause) list(time = cause$time, incidence = cause$P, var = cause$var)),
  aalen = list(time = at, est = unname(points$est), var = unname(points$var))
)
fine_gray <- function(time, status, X, cause, new) {
  fit <- crr(time, status, X, failcode = cause, gtol = 1e-13, maxiter = 50)
  p <- predict(fit, new)
  list(coef = unname(fit$coef), se = sqrt(diag(fit$var)), var = fit$var, loglik = fit$loglik,
       loglik_null = fit$loglik.null, time = p[, 1], incidence = unname(p[, -1, drop = FALSE]))
}
competing$fine_gray <- list(
  ends = fine_gray(ends$time, ends$status, as.matrix(ends[c("alliance1", "arm")]), 1, cbind(c(4, 5.5), c(1, 0))),
  mixed = fine_gray(mixed$time, mixed$status, as.matrix(mixed[c("x", "z")]), 1, cbind(c(45, 60), c(1, 0))),
  mixed_other = fine_gray(mixed$time, mixed$status, as.matrix(mixed[c("x", "z")]), 2, cbind(c(45, 60), c(1, 0)))
)
competing$cause_specific <- list(
  ends = describe(fit_of(Surv(time, status == 1) ~ alliance1 + arm, ends)),
  mixed_other = describe(fit_of(Surv(entry, time, status == 2) ~ x + z, mixed, cluster = therapist))
)
write_golden("survival", c("survival", "cmprsk", "etm"), c("survival_sessions", "survival_ends", "survival_mixed", "survival_lung",
             "survival_rats", "survival_kidney", "survival_pbc"),
             list(cox = cox, transforms = transforms, frailty = frailty_fits, curves = curves, tests = tests,
                  competing = competing))
