# Random parts that are nested without terms in common: compound symmetry within an unstructured covariance. lme4::anova()
# gives the plain chi-squared, which holds here: with positive variances the smaller model is no boundary of the larger.
source("r/mixed_common.R")
machines <- read_mixed("machines", c("Worker", "Machine"))
cake <- read_mixed("cake", c("replicate", "recipe"))

compare <- function(null, alternative, data, key) {
  fits <- lapply(list(null, alternative), function(f) fit_lmm(f, data, FALSE))
  table <- anova(fits[[1]], fits[[2]])
  list(data = key, method = "ML", null = deparse1(null), alternative = deparse1(alternative),
       n_parameters = I(table$npar), deviance = I(table$deviance), statistic = table$Chisq[2], df = table$Df[2],
       p_value = table[["Pr(>Chisq)"]][2])
}
fixed <- score ~ Machine
symmetric <- update(fixed, . ~ . + (1 | Worker/Machine))
within_only <- update(fixed, . ~ . + (1 | Worker:Machine))
results <- list(
  machines = compare(symmetric, score ~ Machine + (Machine | Worker), machines, "machines"),
  machines_cells = compare(symmetric, score ~ Machine + (0 + Machine | Worker), machines, "machines"),
  machines_within = compare(within_only, score ~ Machine + (0 + Machine | Worker), machines, "machines"),
  cake = compare(angle ~ recipe + temperature + (1 | replicate/recipe),
                 angle ~ recipe + temperature + (0 + recipe | replicate), cake, "cake")
)
write_golden("mixed_nested", mixed_packages, list(machines = mixed_path("machines"), cake = mixed_path("cake")), results)
