# Average outcomes over a predictor, with delta-method errors, of models without random effects, and outcomes therapist by therapist.
source("r/_write.R")
suppressPackageStartupMessages({library(sandwich); library(clubSandwich); library(geepack); library(ordinal); library(lme4)})
trial <- read.csv(data_path("adherence_trial"))
trial <- trial[order(trial$therapist, trial$id), ]
grid <- c(4, 5, 6)
terms_of <- ~ alliance + arm + severity
matrix_at <- function(value) model.matrix(terms_of, transform(trial, alliance = value))

# The share's mean if everybody had one alliance: estimate, derivatives in the coefficients, standard error.
share_at <- function(value, beta, V) {
  X <- matrix_at(value); mu <- plogis(drop(X %*% beta)); J <- colMeans(mu * (1 - mu) * X)
  list(estimate = mean(mu), std_error = sqrt(drop(J %*% V %*% J)), J = unname(J))
}
counts <- glm(cbind(completed, assigned - completed) ~ alliance + arm + severity, quasibinomial, trial, epsilon = 1e-14)
CR2 <- as.matrix(vcovCR(counts, cluster = trial$therapist, type = "CR2"))
fractional <- lapply(grid, function(v) {
  found <- share_at(v, coef(counts), CR2)
  test <- Wald_test(counts, matrix(found$J, 1), vcov = "CR2", cluster = trial$therapist, test = "HTZ")
  list(estimate = found$estimate, std_error = found$std_error, df = test$df_denom)
})
f <- geeglm(share_ends ~ alliance + arm + severity, id = therapist, data = trial, family = binomial, corstr = "exchangeable",
            control = geese.control(epsilon = 1e-13, maxit = 1000))
gee <- lapply(grid, function(v) share_at(v, coef(f), vcov(f))[c("estimate", "std_error")])

# The mean rating of a cumulative logit, its derivatives by differences.
trial$ordered <- ordered(trial$rating)
c1 <- clm(ordered ~ alliance + arm + severity, data = trial, control = clm.control(gradTol = 1e-11, maxIter = 200))
scores <- as.numeric(levels(trial$ordered))
mean_rating <- function(p, value) {
  eta <- drop(matrix_at(value)[, -1] %*% p[-(1:4)])
  below <- sapply(p[1:4], function(t) plogis(t - eta))
  mean(scores[5] - below %*% diff(scores))
}
ordinal <- lapply(grid, function(v) {
  p <- coef(c1)
  J <- sapply(seq_along(p), function(k) { h <- replace(0 * p, k, 1e-5); (mean_rating(p + h, v) - mean_rating(p - h, v)) / 2e-5 })
  list(estimate = mean_rating(p, v), std_error = sqrt(drop(J %*% vcov(c1) %*% J)))
})

# Every therapist with the same patients: conditional modes and their limits carried over.
adherence <- read.csv(data_path("glmm_adherence"))
control <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-13, optCtrl = list(rhoend = 1e-9, maxfun = 1e6))
m <- glmer(cbind(completed, assigned - completed) ~ alliance + arm + severity + (1 | therapist), adherence, binomial, control = control)
eta <- drop(model.matrix(~ alliance + arm + severity, adherence) %*% fixef(m))
modes <- ranef(m, condVar = TRUE)$therapist
sd <- sqrt(attr(modes, "postVar")[1, 1, ])
average <- function(b) sapply(b, function(one) mean(plogis(eta + one)))
groups <- list(names = rownames(modes), estimate = average(modes[[1]]), conf_low = average(modes[[1]] - qnorm(.975) * sd),
               conf_high = average(modes[[1]] + qnorm(.975) * sd), reference = average(0))

write_golden("response_curves", c("clubSandwich", "geepack", "ordinal", "lme4"),
             list(trial = data_path("adherence_trial"), adherence = data_path("glmm_adherence")),
             list(grid = grid, fractional = fractional, gee = gee, ordinal = ordinal, groups = groups))
