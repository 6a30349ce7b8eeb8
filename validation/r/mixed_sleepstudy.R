# Reaction times under sleep deprivation: correlated, uncorrelated and single random effects, balanced and not.
source("r/mixed_common.R")
sleep <- read_mixed("sleepstudy", "Subject")
few <- read_mixed("sleepstudy_70", "Subject")
slope <- Reaction ~ Days + (Days | Subject)
forms <- list(slope = slope, uncorrelated = Reaction ~ Days + (Days || Subject),
              intercept = Reaction ~ Days + (1 | Subject), slope_only = Reaction ~ Days + (0 + Days | Subject))

both <- function(formula, data, key) {
  list(reml = golden_lmm(formula, data, key), ml = golden_lmm(formula, data, key, REML = FALSE))
}
results <- list(complete = lapply(forms, both, sleep, "sleepstudy"),
                subset_70 = lapply(forms, both, few, "sleepstudy_70"))
write_golden("mixed_sleepstudy", mixed_packages,
             list(sleepstudy = mixed_path("sleepstudy"), sleepstudy_70 = mixed_path("sleepstudy_70")), results)
