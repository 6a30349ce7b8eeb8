# Fixed effects that cannot all be estimated: which columns lmer() drops, and what it makes of the rest.
source("r/mixed_common.R")
therapy <- read_therapy()
golden <- function(formula, ...) golden_lmm(formula, therapy, "therapy", tests = FALSE, ...)
results <- list(
  sum_of_parts = golden(outcome ~ alliance + alliance_within + alliance_between + week + (1 | patient)),
  linear_copy = golden(outcome ~ week + I(2 * week + 1) + arm + (1 | patient) + (1 | therapist)),
  copy_first = golden(outcome ~ I(2 * week + 1) + week + arm + (1 | patient), REML = FALSE),
  empty_cell = golden(outcome ~ arm * site + week + (1 | patient))
)
write_golden("mixed_deficient", mixed_packages, list(therapy = mixed_path("therapy")), results)
