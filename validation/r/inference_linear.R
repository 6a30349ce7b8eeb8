# Functions of a least-squares fit: model comparison, marginal means and contrasts, simple slopes, type III
# tests, the Johnson-Neyman interval, and standardised effects.
source("r/_write.R")
suppressMessages({library(emmeans); library(car)})
emm_options(msg.interaction = FALSE, msg.nesting = FALSE)

# An emmeans summary as rows: one column a factor or contrast, then the usual columns.
emm_rows <- function(grid, adjust = "none", ...) {
  table <- as.data.frame(summary(grid, infer = TRUE, adjust = adjust, ...))
  estimate <- intersect(c("estimate", "emmean", grep("trend$", names(table), value = TRUE)), names(table))
  labels <- table[seq_len(which(names(table) == estimate) - 1)]
  labels[] <- lapply(labels, as.character)
  data.frame(labels, estimate = table[[estimate]], std_error = table$SE, df = table$df,
             conf_low = table$lower.CL, conf_high = table$upper.CL,
             statistic = table$t.ratio, p_value = table$p.value)
}
adjusted <- function(pairs) {
  list(none = emm_rows(pairs), bonferroni = emm_rows(pairs, "bonferroni"), tukey = emm_rows(pairs, "tukey"),
       holm_p = summary(pairs, adjust = "holm")$p.value)
}
anova_rows <- function(table) {
  data.frame(df_residual = table$Res.Df, rss = table$RSS, df = table$Df, sum_of_squares = table$`Sum of Sq`,
             statistic = table$F, p_value = table$`Pr(>F)`)
}
f_test <- function(table) {
  list(statistic = table$F[2], df1 = table$Df[2], df2 = table$Res.Df[2], p_value = table$`Pr(>F)`[2])
}

trial <- read_trial()
none <- lm(outcome ~ baseline, trial)
additive <- lm(outcome ~ alliance + arm + baseline, trial)
full <- lm(outcome ~ alliance * arm + baseline, trial)
by_sex <- lm(outcome ~ arm * sex + baseline, trial)

lr <- lmtest::lrtest(additive, full)
slopes <- c("alliance:armMCE", "alliance:armSMT")
compare <- list(
  f_two_models = anova_rows(anova(additive, full)),
  f_three_models = anova_rows(anova(none, additive, full)),
  lr = list(log_likelihood = lr$LogLik, n_parameters = lr$`#Df`, df = lr$Df[2], statistic = lr$Chisq[2],
            p_value = lr$`Pr(>Chisq)`[2]),
  interaction_2df = f_test(linearHypothesis(full, slopes)),
  interaction_2df_hc3 = f_test(linearHypothesis(full, slopes, white.adjust = "hc3"))
)

at_means <- emmeans(full, "arm")
at_45 <- emmeans(full, "arm", at = list(alliance = 45, baseline = 60))
custom <- list("active - GE" = c(-1, .5, .5), "SMT - MCE" = c(0, -1, 1))
weights <- c(equal = "equal", proportional = "proportional", cells = "cells")
trends <- emtrends(full, "arm", var = "alliance")
marginal <- list(
  covariate_means = list(alliance = mean(trial$alliance), baseline = mean(trial$baseline)),
  arm = emm_rows(at_means), arm_at_alliance_45_baseline_60 = emm_rows(at_45),
  arm_pairs = adjusted(pairs(at_means)), arm_custom = emm_rows(contrast(at_means, custom)),
  by_sex = lapply(weights, function(w) emm_rows(emmeans(by_sex, "arm", weights = w))),
  by_sex_pairs = lapply(weights, function(w) emm_rows(pairs(emmeans(by_sex, "arm", weights = w)))),
  slopes = emm_rows(trends), slope_pairs = adjusted(pairs(trends))
)

factorial <- read_factorial()
cells_fit <- lm(change ~ treatment * alliance, factorial)
sum_coded <- lm(change ~ treatment * alliance, factorial,
                contrasts = list(treatment = "contr.sum", alliance = "contr.sum"))
cells <- emmeans(cells_fit, c("treatment", "alliance"))
type3 <- Anova(sum_coded, type = 3)
two_by_two <- list(
  cells = emm_rows(cells),
  treatment = emm_rows(emmeans(cells_fit, "treatment")), alliance = emm_rows(emmeans(cells_fit, "alliance")),
  treatment_pairs = emm_rows(pairs(emmeans(cells_fit, "treatment"))),
  alliance_pairs = emm_rows(pairs(emmeans(cells_fit, "alliance"))),
  alliance_within_treatment = emm_rows(pairs(emmeans(cells_fit, "alliance", by = "treatment"))),
  interaction = emm_rows(contrast(cells, interaction = "pairwise")),
  type3 = data.frame(term = rownames(type3), sum_of_squares = type3$`Sum Sq`, df = type3$Df,
                     statistic = type3$`F value`, p_value = type3$`Pr(>F)`, row.names = NULL)
)

# The slope of alliance at baseline w is b1 + b3 w with variance v11 + 2 w v13 + w^2 v33; it is significant
# where A w^2 + B w + C >= 0, with t the critical value. Roots are null where the sign never changes.
moderated <- lm(outcome ~ alliance * baseline, trial)
boundary <- function(fit, alpha) {
  b <- coef(fit)[c("alliance", "alliance:baseline")]
  v <- vcov(fit)[names(b), names(b)]
  t2 <- qt(1 - alpha / 2, fit$df.residual)^2
  A <- b[[2]]^2 - t2 * v[2, 2]
  B <- 2 * (b[[1]] * b[[2]] - t2 * v[1, 2])
  C <- b[[1]]^2 - t2 * v[1, 1]
  D <- B^2 - 4 * A * C
  list(alpha = alpha, t_critical = sqrt(t2), A = A, B = B, C = C, discriminant = D,
       roots = if (D >= 0) sort((-B + c(-1, 1) * sqrt(D)) / (2 * A)))
}
simple <- emtrends(moderated, "baseline", var = "alliance", at = list(baseline = c(20, 40, 55.5, 70, 90)))
simple_rows <- emm_rows(simple)
simple_rows$baseline <- as.numeric(simple_rows$baseline)
johnson_neyman <- list(
  coefficients = ols_rows(moderated), vcov = matrix_of(vcov(moderated)),
  moderator_range = range(trial$baseline),
  boundaries = lapply(c(.20, .05, .01, .001), function(alpha) boundary(moderated, alpha)),
  simple_slopes = simple_rows
)

X <- model.matrix(additive)[, -1]
y <- trial$outcome
scaled <- function(columns) {
  Z <- X
  Z[, columns] <- scale(X[, columns])
  named(setNames(coef(lm(scale(y) ~ Z))[-1], colnames(X)))
}
reduced <- list(alliance = outcome ~ arm + baseline, arm = outcome ~ alliance + baseline,
                baseline = outcome ~ alliance + arm)
by_term <- lapply(reduced, function(formula) {
  rest <- lm(formula, trial)
  partial <- 1 - deviance(additive) / deviance(rest)
  list(df = rest$df.residual - additive$df.residual, partial_r_squared = partial,
       cohen_f2 = partial / (1 - partial),
       delta_r_squared = summary(additive)$r.squared - summary(rest)$r.squared)
})
t_value <- summary(additive)$coefficients[-1, "t value"]
standardised <- list(
  formula = deparse1(formula(additive)), coefficients = ols_rows(additive),
  r_squared = summary(additive)$r.squared, beta_all_columns = scaled(colnames(X)),
  beta_numeric_columns = scaled(c("alliance", "baseline")),
  partial_correlation = named(t_value / sqrt(t_value^2 + additive$df.residual)), by_term = by_term
)

p <- c(.001, .008, .012, .02, .03, .041, .2, .5)
methods <- c("holm", "hochberg", "BH", "BY", "bonferroni", "hommel")
p_adjust <- c(list(p_value = p), sapply(methods, function(m) p.adjust(p, m), simplify = FALSE))

write_golden("inference_linear", c("emmeans", "car", "lmtest"),
             list(trial = data_path("trial"), factorial = data_path("factorial")),
             list(compare = compare, marginal = marginal, two_by_two = two_by_two,
                  johnson_neyman = johnson_neyman, standardised = standardised, p_adjust = p_adjust))
