# Type III tests with covariates: every term of lmerTest::anova() and, for lm(), of car::Anova() under sum contrasts.
source("r/mixed_common.R")
suppressPackageStartupMessages(library(car))
therapy <- subset(read_therapy(), !is.na(outcome) & !is.na(alliance))
two_sites <- droplevels(subset(therapy, site != "C"))  # no arm is missing there
trial <- read_trial()

# Treatment contrasts, as lmer() takes them: lmerTest makes the type III hypotheses from them. `coded` has sum contrasts; the
# hypotheses, and so F, must be the same. Its denominator df may differ a little, since other rows of a contrast are rotated.
mixed <- function(formula, therapy = get("therapy", globalenv()), without_site = NULL) {
  coded <- list(arm = "contr.sum", site = "contr.sum")
  coded <- coded[intersect(names(coded), all.vars(nobars(formula)))]
  fit <- fit_lmm(formula, therapy)
  other <- fit_lmm(formula, therapy, contrasts = coded)
  test <- function(ddf) {
    own <- f_rows(anova(fit, type = 3, ddf = ddf), sigma(fit))
    summed <- f_rows(anova(other, type = 3, ddf = ddf), sigma(other))
    off <- abs(own$statistic / summed$statistic - 1)
    message("    ", ddf, ": treatment against sum contrasts, F ", format(max(off), digits = 1), ", df ",
            format(max(abs(own$den_df / summed$den_df - 1)), digits = 1))
    stopifnot(off < 1e-5)
    own
  }
  list(formula = deparse1(formula), method = "REML", data = "therapy",
       without_site = without_site, levels = lapply(Filter(is.factor, therapy[all.vars(nobars(formula))]), levels),
       type3 = list(contrasts = "contr.treatment", satterthwaite = test("Satterthwaite"),
                    kenward_roger = test("Kenward-Roger")))
}
linear <- function(formula) {
  coded <- list(arm = "contr.sum", sex = "contr.sum")
  coded <- coded[intersect(names(coded), all.vars(formula))]
  fit <- lm(formula, trial, contrasts = coded)
  table <- Anova(fit, type = 3)
  rows <- setdiff(rownames(table), c("(Intercept)", "Residuals"))
  list(formula = deparse1(formula), data = "trial",
       type3 = data.frame(term = rows, num_df = table[rows, "Df"], den_df = fit$df.residual,
                          statistic = table[rows, "F value"], p_value = table[rows, "Pr(>F)"], row.names = NULL))
}
results <- list(
  mixed = list(
    two_covariates = mixed(outcome ~ arm * week + site * alliance_between + (1 | patient) + (1 | therapist)),
    three_way = mixed(outcome ~ arm * site * week + alliance_within + (1 | patient), two_sites, "C"),
    two_numbers = mixed(outcome ~ arm * week * alliance_between + (1 + week | patient)),
    covariate_first = mixed(outcome ~ week * arm + alliance_within + (1 | patient)),
    curved = mixed(outcome ~ arm * (week + I(week^2)) + (1 | patient)),
    polynomial = mixed(outcome ~ arm * poly(week, 2) + (1 | patient)),
    numbers_only = mixed(outcome ~ week * alliance_within + (1 | patient))
  ),
  linear = list(
    three_way = linear(outcome ~ arm * sex * baseline),
    two_covariates = linear(outcome ~ arm * baseline + sex * alliance),
    ancova = linear(outcome ~ arm + sex + baseline),
    polynomial = linear(outcome ~ arm * poly(baseline, 2)),
    numbers_only = linear(outcome ~ alliance * baseline)
  )
)
write_golden("anova_covariates", c(mixed_packages, "car"), list(therapy = mixed_path("therapy"), trial = data_path("trial")),
             results)
