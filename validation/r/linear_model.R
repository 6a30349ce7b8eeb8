# Ordinary least squares: coefficients, tests, fit statistics, missing values, and a rank-deficient design.
source("r/_write.R")

describe <- function(fit) {
  s <- summary(fit)
  f <- unname(s$fstatistic)
  list(
    formula = deparse1(formula(fit)), n_obs = nobs(fit), rank = fit$rank, df_residual = fit$df.residual,
    coefficients = ols_rows(fit), sigma = s$sigma, r_squared = s$r.squared,
    r_squared_adjusted = s$adj.r.squared,
    f = list(statistic = f[1], df1 = f[2], df2 = f[3], p_value = pf(f[1], f[2], f[3], lower.tail = FALSE)),
    log_likelihood = as.numeric(logLik(fit)), aic = AIC(fit), bic = BIC(fit), rss = deviance(fit),
    vcov = matrix_of(vcov(fit, complete = FALSE)),
    fitted = unname(head(fitted(fit), 10)), residual = unname(head(residuals(fit), 10))
  )
}

# What predict() says for new patients; `interval = "prediction"` adds the residual variance.
predicted <- function(fit, new) {
  p <- predict(fit, new, se.fit = TRUE, interval = "confidence")
  wide <- predict(fit, new, interval = "prediction")
  data.frame(new, estimate = p$fit[, "fit"], std_error = p$se.fit, df = p$df, conf_low = p$fit[, "lwr"],
             conf_high = p$fit[, "upr"], prediction_low = wide[, "lwr"], prediction_high = wide[, "upr"],
             row.names = NULL)
}

trial <- read_trial()
missing <- read_trial("trial_missing")
main <- outcome ~ alliance * arm + baseline
fit <- lm(main, trial)
spline <- lm(outcome ~ splines::bs(alliance, df = 4) + arm, trial)
deficient <- lm(outcome ~ arm + baseline + I(2 * baseline), trial)
incomplete <- lm(main, missing)
new <- data.frame(alliance = c(42.5, 51, 60), arm = c("GE", "MCE", "SMT"), baseline = c(30, 55.5, 71))

results <- list(
  interaction = describe(fit),
  transforms = describe(lm(outcome ~ alliance + I(alliance^2) + log(baseline), trial)),
  arm_only = describe(lm(outcome ~ arm, trial)),
  polynomial = describe(lm(outcome ~ poly(alliance, 2) + arm, trial)),
  spline = list(formula = deparse1(formula(spline)), fitted = unname(fitted(spline)), rss = deviance(spline),
                df_residual = spline$df.residual),
  missing = c(describe(incomplete), list(n_rows = nrow(missing), n_dropped = length(incomplete$na.action),
                                         rows_dropped = sort(unname(incomplete$na.action)) - 1)),
  rank_deficient = c(describe(deficient), list(coef = named(coef(deficient)))),
  prediction = predicted(fit, new)
)
write_golden("linear_model", "stats",
             list(trial = data_path("trial"), trial_missing = data_path("trial_missing")),
             results)
