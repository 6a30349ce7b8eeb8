# Sessions in patients in therapists, unbalanced and with missing ratings; weights; partial nesting.
source("r/mixed_common.R")
therapy <- read_therapy()
small <- read_therapy("therapy_small")
# A therapist of nobody: the coefficient of (0 + treated | therapist) is multiplied by 0 for the untreated.
read_partial <- function(name) {
  frame <- read_mixed(name, c("therapist", "patient"))
  frame$therapist <- factor(ifelse(is.na(frame$therapist), "none", as.character(frame$therapist)))
  frame
}
partial <- read_partial("partial")
post <- read_partial("partial_post")
fixed <- outcome ~ alliance_within + alliance_between + week + arm
with_random <- function(text) as.formula(paste(deparse1(fixed), "+", text))
therapists <- function(described) {
  described$groups$therapist <- described$groups$therapist - 1
  described$ranef <- described$ranef[described$ranef$level != "none", ]
  described
}
golden <- function(text, ...) golden_lmm(with_random(text), therapy, "therapy", ...)

results <- list(
  growth = list(reml = golden("(1 + week | patient) + (1 | therapist)"),
                ml = golden("(1 + week | patient) + (1 | therapist)", REML = FALSE)),
  therapist_slope = list(reml = golden("(1 + week | patient) + (1 + alliance_within | therapist)"),
                         ml = golden("(1 + week | patient) + (1 + alliance_within | therapist)", REML = FALSE)),
  nested_reused_ids = list(reml = golden("(1 | therapist/case)"),
                           ml = golden("(1 | therapist/case)", REML = FALSE)),
  reused_ids_taken_as_crossed = list(reml = golden("(1 | therapist) + (1 | case)")),
  patient_only = list(reml = golden("(1 | patient)")),
  both_slopes_uncorrelated = list(reml = golden("(1 + week + alliance_within || patient) + (1 | therapist)")),
  two_slopes = list(reml = golden("(1 + week + alliance_within | patient) + (1 | therapist)")),
  singular_rank_two = list(reml = golden("(1 | patient) + (0 + arm | therapist)"),
                           ml = golden("(1 | patient) + (0 + arm | therapist)", REML = FALSE)),
  singular_three_slopes = list(
    reml = golden("(1 + week + alliance_within | patient) + (1 + week + alliance_within | therapist)")
  ),
  singular_therapists = list(
    reml = golden_lmm(with_random("(1 + week | patient) + (1 + week | therapist)"), small, "therapy_small"),
    ml = golden_lmm(with_random("(1 + week | patient) + (1 + week | therapist)"), small, "therapy_small", REML = FALSE)
  ),
  interaction = list(reml = golden_lmm(outcome ~ alliance_between * arm + week * arm + (1 + week | patient) +
                                         (1 | therapist), therapy, "therapy")),
  weighted = list(reml = golden("(1 | patient) + (1 | therapist)", weights = "weight"),
                  ml = golden("(1 | patient) + (1 | therapist)", REML = FALSE, weights = "weight"),
                  reml_slope = golden("(1 + week | patient) + (1 | therapist)", weights = "weight")),
  partial = list(
    reml = therapists(golden_lmm(outcome ~ treated * week + baseline + (1 | patient) + (0 + treated | therapist),
                                 partial, "partial")),
    ml = therapists(golden_lmm(outcome ~ treated * week + baseline + (1 | patient) + (0 + treated | therapist),
                               partial, "partial", REML = FALSE)),
    post_reml = therapists(golden_lmm(outcome ~ treated + baseline + (0 + treated | therapist), post,
                                      "partial_post"))
  )
)
keys <- c("therapy", "therapy_small", "partial", "partial_post")
write_golden("mixed_therapy", mixed_packages, as.list(sapply(keys, mixed_path)), results)
