# Likelihood-ratio tests: of fixed effects between ML fits, and of variances, where half the null mass is at 0.
source("r/mixed_common.R")
sleep <- read_mixed("sleepstudy", "Subject")
few <- read_mixed("sleepstudy_70", "Subject")
dyestuff <- read_mixed("dyestuff", "Batch")
therapy <- subset(read_therapy(), !is.na(outcome) & !is.na(alliance))

# `mixture`: p by half of chi-squared on df - 1 and half on df, the variance (and its covariances) being one of
# a one-sided test (Self & Liang 1987; Stram & Lee 1994). chi-squared on 0 df is 0 with certainty.
mixture <- function(statistic, df) {
  tail <- function(k) if (k == 0) as.numeric(statistic <= 0) else pchisq(statistic, k, lower.tail = FALSE)
  list(df = I(c(df - 1, df)), p_value = (tail(df - 1) + tail(df)) / 2)
}
compare <- function(null, alternative, data, key, REML, variance = FALSE) {
  fits <- lapply(list(null, alternative), function(f) {
    if (is.null(findbars(f))) return(if (REML) nlme::gls(f, data) else lm(f, data))
    fit_lmm(f, data, REML)
  })
  ll <- lapply(fits, logLik)
  statistic <- 2 * (as.numeric(ll[[2]]) - as.numeric(ll[[1]]))
  df <- attr(ll[[2]], "df") - attr(ll[[1]], "df")
  if (inherits(fits[[1]], "merMod")) {
    table <- anova(fits[[1]], fits[[2]], refit = FALSE)
    stopifnot(abs(table$Chisq[2] - statistic) < 1e-9, table$Df[2] == df)
  }
  list(data = key, method = if (REML) "REML" else "ML", null = deparse1(null), alternative = deparse1(alternative),
       criterion_null = -2 * as.numeric(ll[[1]]), criterion_alternative = -2 * as.numeric(ll[[2]]),
       aic = I(sapply(fits, AIC)), bic = I(sapply(fits, BIC)), df_null = attr(ll[[1]], "df"),
       df_alternative = attr(ll[[2]], "df"), statistic = statistic, df = df,
       p_value = pchisq(statistic, df, lower.tail = FALSE), mixture = if (variance) mixture(statistic, df))
}
growth <- outcome ~ alliance_within + alliance_between + week + arm + (1 + week | patient) + (1 | therapist)
intercept <- Reaction ~ Days + (1 | Subject)
slope <- Reaction ~ Days + (Days | Subject)
uncorrelated <- Reaction ~ Days + (Days || Subject)

results <- list(
  fixed_days = compare(Reaction ~ 1 + (Days | Subject), slope, sleep, "sleepstudy", FALSE),
  fixed_arm = compare(update(growth, . ~ . - arm), growth, therapy, "therapy", FALSE),
  slope_reml = compare(intercept, slope, sleep, "sleepstudy", TRUE, variance = TRUE),
  slope_ml = compare(intercept, slope, sleep, "sleepstudy", FALSE, variance = TRUE),
  slope_uncorrelated_reml = compare(intercept, uncorrelated, sleep, "sleepstudy", TRUE, variance = TRUE),
  slope_subset_reml = compare(intercept, slope, few, "sleepstudy_70", TRUE, variance = TRUE),
  correlation_ml = compare(uncorrelated, slope, sleep, "sleepstudy", FALSE),
  therapist_reml = compare(update(growth, . ~ . - (1 | therapist)), growth, therapy, "therapy", TRUE, variance = TRUE),
  batch_ml = compare(Yield ~ 1, Yield ~ 1 + (1 | Batch), dyestuff, "dyestuff", FALSE, variance = TRUE),
  batch_reml = compare(Yield ~ 1, Yield ~ 1 + (1 | Batch), dyestuff, "dyestuff", TRUE, variance = TRUE)
)
keys <- c("sleepstudy", "sleepstudy_70", "dyestuff", "therapy")
write_golden("mixed_comparison", mixed_packages, as.list(sapply(keys, mixed_path)), results)
