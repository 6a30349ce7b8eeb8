# Bounded, ordinal and population-averaged models of adherence: sessions completed, shares with and without 0 and 1, ratings.
# Run from validation/ as `Rscript r/adherence.R`; writes adherence.json and data/adherence_*.csv.
source("r/_write.R")
suppressPackageStartupMessages({
  library(glmmTMB); library(geepack); library(ordinal); library(sandwich); library(clubSandwich)
})
named <- function(v) as.list(v)

# Own synthetic trial: 360 patients of 24 therapists.
set.seed(99)
J <- 24; n <- 360
th <- sample(1:J, n, TRUE); u <- rnorm(J, 0, .45); arm <- rbinom(n, 1, .5)
alliance <- round(5 + .4 * arm + rnorm(n, 0, .9), 3); severity <- round(rnorm(n), 3)
eta <- -.2 + .45 * (alliance - 5) + .25 * arm - .15 * severity + u[th]; mu <- plogis(eta)
assigned <- sample(c(8, 10, 12, 16), n, TRUE); pr <- rbeta(n, mu * 6, (1 - mu) * 6)
completed <- rbinom(n, assigned, pr); prop <- rbeta(n, mu * 5, (1 - mu) * 5); z <- runif(n)
share_ends <- ifelse(z < .06, 0, ifelse(z > .90, 1, round(prop, 5)))
share <- round(pmin(pmax(prop, 1e-4), 1 - 1e-4), 5)
rating <- as.integer(cut(eta + rlogis(n), c(-Inf, -1.2, -.2, .8, 1.8, Inf), labels = 1:5))
trial <- data.frame(id = 1:n, therapist = th, arm, alliance, severity, assigned, completed, share, share_ends, rating)
write.csv(trial, "data/adherence_trial.csv", row.names = FALSE, quote = FALSE)
wine <- ordinal::wine
write.csv(wine, "data/adherence_wine.csv", row.names = FALSE, quote = FALSE)
trial <- read.csv("data/adherence_trial.csv")
trial <- trial[order(trial$therapist, trial$id), ]
trial$wave <- ave(trial$id, trial$therapist, FUN = seq_along)

tight <- glmmTMBControl(optCtrl = list(iter.max = 1e4, eval.max = 1e4))
X <- ~ alliance + arm + severity
fit_beta <- function(data, y, precision = ~1) {
  f <- glmmTMB(update(X, paste(y, "~ .")), data, family = beta_family(), dispformula = precision, control = tight)
  V <- vcov(f, full = TRUE)
  list(coefficients = named(fixef(f)$cond), precision = named(fixef(f)$disp),
       observed_se = named(sqrt(diag(V))), log_likelihood = c(logLik(f)))
}
beta <- list(constant = fit_beta(trial, "share"), varying = fit_beta(trial, "share", ~arm))

# betareg is not in Debian: its numbers are made where it is installed, and else kept.
pinned_betareg <- if (requireNamespace("betareg", quietly = TRUE)) {
  one <- function(formula) {
    f <- betareg::betareg(formula, trial, control = betareg::betareg.control(fstol = 1e-12))
    list(coefficients = named(coef(f)), std_error = named(sqrt(diag(vcov(f)))), log_likelihood = c(logLik(f)),
         CR0 = named(sqrt(diag(vcovCL(f, trial$therapist, type = "HC0", cadjust = FALSE)))))
  }
  list(version = as.character(packageVersion("betareg")), constant = one(share ~ alliance + arm + severity),
       varying = one(share ~ alliance + arm + severity | arm))
} else jsonlite::fromJSON("adherence.json", simplifyVector = FALSE)$results$betareg

part <- function(f) list(coefficients = named(coef(f)), std_error = named(sqrt(diag(vcov(f)))), log_likelihood = c(logLik(f)))
zeros <- glm(as.integer(share_ends == 0) ~ alliance + arm + severity, binomial, trial, epsilon = 1e-14)
ones <- glm(as.integer(share_ends == 1) ~ alliance + arm + severity, binomial, trial[trial$share_ends > 0, ], epsilon = 1e-14)
inside <- fit_beta(trial[trial$share_ends > 0 & trial$share_ends < 1, ], "share_ends")
inflated <- list(zero = part(zeros), one = part(ones), inside = inside,
                 log_likelihood = c(logLik(zeros)) + c(logLik(ones)) + inside$log_likelihood)

quasi <- function(y, link) {
  f <- suppressWarnings(glm(as.formula(paste(y, "~ alliance + arm + severity")), quasibinomial(link), trial, epsilon = 1e-14,
                            maxit = 100))
  se <- function(V) named(sqrt(diag(as.matrix(V))))
  test <- as.data.frame(coef_test(f, vcov = "CR2", cluster = trial$therapist))
  joint <- Wald_test(f, constrain_zero(2:3), vcov = "CR2", cluster = trial$therapist, test = "HTZ")
  list(coefficients = named(coef(f)), HC1 = se(vcovHC(f, "HC1")), CR1 = se(vcovCL(f, trial$therapist)), CR2 = named(setNames(test$SE, names(coef(f)))),
       CR2_df = named(setNames(test$df_Satt, names(coef(f)))), CR2_p = named(setNames(test$p_Satt, names(coef(f)))),
       joint = list(F = joint$Fstat, df_num = joint$df_num, df = joint$df_denom, p = joint$p_val), dispersion = summary(f)$dispersion)
}
counts <- "cbind(completed, assigned - completed)"
fractional <- list(share_logit = quasi("share_ends", "logit"), share_probit = quasi("share_ends", "probit"),
                   share_cloglog = quasi("share_ends", "cloglog"), counts_logit = quasi(counts, "logit"))

gee <- function(y, family, corstr) {
  f <- geeglm(as.formula(paste(y, "~ alliance + arm + severity")), id = therapist, waves = wave, data = trial, family = family,
              corstr = corstr, control = geese.control(epsilon = 1e-13, maxit = 1000))
  list(coefficients = named(coef(f)), std_error = named(sqrt(diag(vcov(f)))),
       alpha = if (length(f$geese$alpha)) unname(f$geese$alpha) else NULL, scale = unname(f$geese$gamma))
}
gees <- list(share_exchangeable = gee("share_ends", binomial, "exchangeable"), share_ar1 = gee("share_ends", binomial, "ar1"),
             share_independence = gee("share_ends", binomial, "independence"), counts_exchangeable = gee(counts, binomial, "exchangeable"),
             rating_exchangeable = gee("rating", gaussian, "exchangeable"), completed_exchangeable = gee("completed", poisson, "exchangeable"))

trial$ordered <- ordered(trial$rating); trial$group <- factor(trial$therapist)
cumulative <- function(formula, data, link) {
  f <- clm(formula, data = data, link = link, control = clm.control(gradTol = 1e-11, maxIter = 200))
  # What nominal_test does. It gives NA for alliance, because thresholds cross at an alliance of 0, far outside the data.
  terms <- all.vars(formula[[3]])
  nominal <- lapply(setNames(nm = terms), function(v) {
    rest <- reformulate(if (length(terms) > 1) setdiff(terms, v) else "1", formula[[2]])
    g <- suppressWarnings(clm(rest, nominal = reformulate(v), data = data, link = link, control = clm.control(gradTol = 1e-9, maxIter = 200)))
    list(df = length(na.omit(coef(g))) - length(coef(f)), statistic = 2 * c(logLik(g) - logLik(f)))
  })
  list(coefficients = named(coef(f)), std_error = named(sqrt(diag(vcov(f)))), log_likelihood = c(logLik(f)),
       fitted = predict(f, data[1:5, all.vars(formula[[3]])], type = "prob")$fit,
       nominal = nominal)
}
# clmm of ordinal 2022.11.16 calls "loglog" what clm calls "cloglog", and the other way round: clm's name is meant here.
random <- function(formula, data, link, k) {
  f <- clmm(formula, data = data, link = if (link == "cloglog") "loglog" else link, nAGQ = k, Hess = TRUE, control = clmm.control(gradTol = 1e-6, grtol = 1e-9))
  list(coefficients = named(f$coefficients), std_error = named(sqrt(diag(vcov(f)))[seq_along(f$coefficients)]), sd = f$ST[[1]][1],
       log_likelihood = c(logLik(f)), modes = unname(f$ranef), gradient = max(abs(f$gradient)))
}
# Laplace's approximation written out, for a logit link, at the estimates of clmm: its own modes are a Newton step short.
laplace <- function(fit, y, x, group) {
  t <- c(-Inf, fit$alpha, Inf); b <- fit$beta; s <- fit$ST[[1]][1]
  sum(sapply(split(seq_along(y), group), function(i) {
    eta <- drop(x[i, ] %*% b); A <- t[y[i]] - eta; B <- t[y[i] + 1] - eta
    value <- function(u) sum(log(plogis(B - s * u) - plogis(A - s * u))) - u^2 / 2
    score <- function(u) -s * sum((dlogis(B - s * u) - dlogis(A - s * u)) / (plogis(B - s * u) - plogis(A - s * u))) - u
    u <- uniroot(score, c(-9, 9), tol = 1e-14)$root
    h <- -(8 * (score(u + 1e-3) - score(u - 1e-3)) - (score(u + 2e-3) - score(u - 2e-3))) / 12e-3
    value(u) - log(h) / 2
  }))
}
O <- ordered ~ alliance + arm + severity; OR <- ordered ~ alliance + arm + severity + (1 | group)
W <- rating ~ temp + contact; WR <- rating ~ temp + contact + (1 | judge)
links <- setNames(nm = c("logit", "probit", "cloglog"))
ordinals <- list(
  clm = list(trial = lapply(links, function(l) cumulative(O, trial, l)), wine = lapply(links, function(l) cumulative(W, wine, l))),
  clmm = list(trial_1 = random(OR, trial, "logit", 1), trial_10 = random(OR, trial, "logit", 10), trial_probit_7 = random(OR, trial, "probit", 7), trial_cloglog_7 = random(OR, trial, "cloglog", 7),
              wine_1 = random(WR, wine, "logit", 1), wine_10 = random(WR, wine, "logit", 10)))

written_out <- list(
  trial_1 = laplace(clmm(OR, data = trial, control = clmm.control(gradTol = 1e-6, grtol = 1e-9)), trial$rating,
                    as.matrix(trial[c("alliance", "arm", "severity")]), trial$group),
  wine_1 = laplace(clmm(WR, data = wine, control = clmm.control(gradTol = 1e-6, grtol = 1e-9)), as.integer(wine$rating),
                   cbind(wine$temp == "warm", wine$contact == "yes") * 1, wine$judge))
for (name in names(written_out)) ordinals$clmm[[name]]$written_out <- written_out[[name]]
write_golden("adherence", c("glmmTMB", "geepack", "ordinal", "sandwich", "clubSandwich"),
             list(trial = "data/adherence_trial.csv", wine = "data/adherence_wine.csv"),
             list(betareg = pinned_betareg, glmmTMB = beta, inflated = inflated, fractional = fractional, gee = gees,
                  ordinal = ordinals))
