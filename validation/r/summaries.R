# What n, mean and SD of the cells alone must give back, computed from raw data of an unbalanced two-by-two
# trial.
source("r/_write.R")
suppressMessages(library(car))

d <- read_factorial()
d$cell <- factor(paste(d$treatment, d$alliance, sep = " "))
cells <- data.frame(cell = levels(d$cell), treatment = sub(" .*", "", levels(d$cell)),
                    alliance = sub(".* ", "", levels(d$cell)), n = as.vector(table(d$cell)),
                    mean = as.vector(tapply(d$change, d$cell, mean)),
                    sd = as.vector(tapply(d$change, d$cell, sd)))

one_way <- anova(lm(change ~ cell, d))
welch <- oneway.test(change ~ cell, d)
sums <- Anova(lm(change ~ treatment * alliance, d,
                 contrasts = list(treatment = "contr.sum", alliance = "contr.sum")), type = 3)
error_ss <- sums["Residuals", "Sum Sq"]
effects <- c("treatment", "alliance", "treatment:alliance")
type3 <- data.frame(term = effects, sum_of_squares = sums[effects, "Sum Sq"], df1 = sums[effects, "Df"],
                    df2 = sums["Residuals", "Df"], statistic = sums[effects, "F value"],
                    p_value = sums[effects, "Pr(>F)"],
                    partial_eta_squared = sums[effects, "Sum Sq"] / (sums[effects, "Sum Sq"] + error_ss))

row <- function(estimate, std_error, df) {
  t <- estimate / std_error
  half <- qt(.975, df) * std_error
  list(estimate = estimate, std_error = std_error, statistic = t, df = df, p_value = 2 * pt(-abs(t), df),
       conf_low = estimate - half, conf_high = estimate + half)
}
# Weights in the order of `cells`: active enhanced, active limited, sham enhanced, sham limited.
weights <- list("alliance" = c(.5, -.5, .5, -.5), "treatment" = c(.5, .5, -.5, -.5),
                "interaction" = c(1, -1, -1, 1),
                "active: enhanced - limited" = c(1, -1, 0, 0),
                "one against three" = c(1, -1 / 3, -1 / 3, -1 / 3))
pooled_variance <- sum((cells$n - 1) * cells$sd^2) / sum(cells$n - 1)
pooled <- function(w) row(sum(w * cells$mean), sqrt(pooled_variance * sum(w^2 / cells$n)), sum(cells$n - 1))
unpooled <- function(w) {
  part <- w^2 * cells$sd^2 / cells$n
  row(sum(w * cells$mean), sqrt(sum(part)), sum(part)^2 / sum(part^2 / (cells$n - 1)))
}

t_row <- function(x, y, ...) {
  test <- t.test(x, y, ...)
  list(estimate = unname(test$estimate[1] - test$estimate[2]), std_error = test$stderr,
       statistic = unname(test$statistic), df = unname(test$parameter), p_value = test$p.value,
       conf_low = test$conf.int[1], conf_high = test$conf.int[2])
}

# Cohen's d with the pooled SD of its two cells; its interval inverts the noncentral t; g = J d with the
# exact J.
standardised_difference <- function(t, n1, n2, level = .95) {
  df <- n1 + n2 - 2
  scale <- sqrt(1 / n1 + 1 / n2)
  ncp <- function(p) uniroot(function(x) pt(t, df, x) - p, t + c(-4, 4), tol = 1e-13)$root
  J <- exp(lgamma(df / 2) - lgamma((df - 1) / 2)) / sqrt(df / 2)
  low <- ncp((1 + level) / 2) * scale
  high <- ncp((1 - level) / 2) * scale
  list(d = t * scale, conf_low = low, conf_high = high, J = J, g = J * t * scale, g_conf_low = J * low,
       g_conf_high = J * high)
}

# Two one-sided tests against -margin and +margin; non-inferiority is the first alone. The interval is 90 %.
equivalence <- function(x, y, margin, ...) {
  lower <- t.test(x, y, mu = -margin, alternative = "greater", ...)
  upper <- t.test(x, y, mu = margin, alternative = "less", ...)
  interval <- t.test(x, y, conf.level = .90, ...)$conf.int
  list(margin = margin, df = unname(lower$parameter), statistic_lower = unname(lower$statistic),
       p_lower = lower$p.value, statistic_upper = unname(upper$statistic), p_upper = upper$p.value,
       p_equivalence = max(lower$p.value, upper$p.value), conf_low_90 = interval[1],
       conf_high_90 = interval[2])
}

compare_cells <- function(a, b) {
  x <- d$change[d$cell == a]
  y <- d$change[d$cell == b]
  two <- t_row(x, y, var.equal = TRUE)
  list(first = a, second = b, pooled = two, welch = t_row(x, y),
       effect_size = standardised_difference(two$statistic, length(x), length(y)),
       equivalence_pooled = equivalence(x, y, 12, var.equal = TRUE),
       equivalence_welch = equivalence(x, y, 12))
}

# Chen et al. 2019: published n, mean and SD of two groups.
from_summary <- function(n, mean, sd) {
  df <- sum(n) - 2
  difference <- row(mean[1] - mean[2], sqrt(sum((n - 1) * sd^2) / df * sum(1 / n)), df)
  part <- sd^2 / n
  list(n = n, mean = mean, sd = sd, pooled = difference,
       welch = row(mean[1] - mean[2], sqrt(sum(part)), sum(part)^2 / sum(part^2 / (n - 1))),
       effect_size = standardised_difference(difference$statistic, n[1], n[2]))
}

stopifnot(all.equal(pooled_variance, one_way["Residuals", "Mean Sq"]))
results <- list(
  cells = cells, pooled_sd = sqrt(pooled_variance),
  one_way = list(statistic = one_way$`F value`[1], df1 = one_way$Df[1], df2 = one_way$Df[2],
                 p_value = one_way$`Pr(>F)`[1], sum_of_squares = one_way$`Sum Sq`[1],
                 error = one_way$`Sum Sq`[2]),
  one_way_welch = list(statistic = unname(welch$statistic), df1 = unname(welch$parameter[1]),
                       df2 = unname(welch$parameter[2]), p_value = welch$p.value),
  type3 = type3,
  contrasts = lapply(weights, function(w) list(weights = w, pooled = pooled(w), welch = unpooled(w))),
  pairs = list(enhanced_limited_active = compare_cells("active enhanced", "active limited"),
               enhanced_limited_sham = compare_cells("sham enhanced", "sham limited"),
               limited_active_enhanced_sham = compare_cells("active limited", "sham enhanced")),
  chen2019 = from_summary(c(54, 73), c(5.13, 4.89), c(.71, .64))
)
write_golden("summaries", c("stats", "car"), list(factorial = data_path("factorial")), results)
