# Crossed and nested factors, slopes that are factors, and variances at 0, on data sets of lme4 and nlme.
source("r/mixed_common.R")
penicillin <- read_mixed("penicillin", c("plate", "sample"))
pastes <- read_mixed("pastes", c("batch", "cask"))
orthodont <- read_mixed("orthodont", c("Subject", "Sex"), list(Sex = c("Male", "Female")))
machines <- read_mixed("machines", c("Worker", "Machine"))
dyestuff <- read_mixed("dyestuff", "Batch")
dyestuff2 <- read_mixed("dyestuff2", "Batch")
cake <- read_mixed("cake", c("replicate", "recipe", "temperature"))
both <- function(formula, data, key) {
  list(reml = golden_lmm(formula, data, key), ml = golden_lmm(formula, data, key, REML = FALSE))
}

results <- list(
  penicillin = both(diameter ~ 1 + (1 | plate) + (1 | sample), penicillin, "penicillin"),
  pastes = both(strength ~ 1 + (1 | batch/cask), pastes, "pastes"),
  orthodont = both(distance ~ age * Sex + (age | Subject), orthodont, "orthodont"),
  machines_nested = both(score ~ Machine + (1 | Worker/Machine), machines, "machines"),
  machines_slopes = both(score ~ Machine + (Machine | Worker), machines, "machines"),
  machines_cell_slopes = both(score ~ Machine + (0 + Machine | Worker), machines, "machines"),
  dyestuff = both(Yield ~ 1 + (1 | Batch), dyestuff, "dyestuff"),
  dyestuff2 = both(Yield ~ 1 + (1 | Batch), dyestuff2, "dyestuff2"),
  cake = both(angle ~ recipe * temperature + (1 | recipe:replicate), cake, "cake"),
  cake_nested = both(angle ~ recipe + temperature + (1 | replicate/recipe), cake, "cake")
)
keys <- c("penicillin", "pastes", "orthodont", "machines", "dyestuff", "dyestuff2", "cake")
write_golden("mixed_classic", mixed_packages, as.list(sapply(keys, mixed_path)), results)
