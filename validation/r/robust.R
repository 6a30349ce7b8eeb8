# Sandwich covariances of least squares: HC3, and CR1, CR1S, CR2 clustered by therapist.
source("r/_write.R")
suppressMessages(library(clubSandwich))

hc <- function(fit) {
  V <- sandwich::vcovHC(fit, type = "HC3")
  table <- lmtest::coeftest(fit, vcov. = V)
  interval <- lmtest::coefci(fit, vcov. = V)
  types <- c(HC0 = "HC0", HC1 = "HC1", HC2 = "HC2", HC3 = "HC3")
  list(
    vcov = matrix_of(V),
    coefficients = estimate_rows(rownames(table), table[, 1], table[, 2], table[, 3], fit$df.residual,
                                 table[, 4], interval[, 1], interval[, 2]),
    std_error = lapply(types, function(type) named(sqrt(diag(sandwich::vcovHC(fit, type = type)))))
  )
}

# `test` is "Satterthwaite", or "naive-t": t with (clusters - 1) degrees of freedom.
cr_rows <- function(fit, V, test) {
  table <- as.data.frame(coef_test(fit, V, test = test))
  interval <- as.data.frame(conf_int(fit, V, test = test))
  p <- if (test == "Satterthwaite") table$p_Satt else table$p_t
  df <- if (test == "Satterthwaite") table$df else nlevels(attr(V, "cluster")) - 1
  estimate_rows(names(coef(fit)), table$beta, table$SE, table$beta / table$SE, df, p,
                interval$CI_L, interval$CI_U)
}

# An infinite denominator df (chi-sq) is written as null; the statistic is always Q divided by its df.
wald <- function(fit, V, constraints) {
  table <- as.data.frame(Wald_test(fit, constraints, V, test = c("chi-sq", "Naive-F", "HTZ")))
  rows <- lapply(seq_len(nrow(table)), function(i) {
    list(statistic = table$Fstat[i], df1 = table$df_num[i], p_value = table$p_val[i],
         df2 = if (is.finite(table$df_denom[i])) table$df_denom[i] else NA)
  })
  setNames(rows, c("chi_sq", "naive_f", "htz"))
}

contrast_rows <- function(fit, V, contrasts) {
  table <- as.data.frame(linear_contrast(fit, V, contrasts, p_values = TRUE))
  estimate_rows(rownames(contrasts), table$Est, table$SE, table$Est / table$SE, table$df, table$p_val,
                table$CI_L, table$CI_U)
}

cr <- function(fit, cluster) {
  types <- c(CR0 = "CR0", CR1 = "CR1", CR1S = "CR1S", CR2 = "CR2")
  V <- lapply(types, function(type) vcovCR(fit, cluster = cluster, type = type))
  list(
    n_clusters = length(unique(cluster)), vcov = lapply(V, matrix_of),
    cr2_satterthwaite = cr_rows(fit, V$CR2, "Satterthwaite"), cr1_naive_t = cr_rows(fit, V$CR1, "naive-t"),
    cr1s_satterthwaite = cr_rows(fit, V$CR1S, "Satterthwaite")
  )
}

trial <- read_trial()
therapist <- factor(trial$therapist)
interaction <- lm(outcome ~ alliance * arm + baseline, trial)
arm_only <- lm(outcome ~ arm, trial)
V <- vcovCR(interaction, cluster = therapist, type = "CR2")
V_arm <- vcovCR(arm_only, cluster = therapist, type = "CR2")
C <- rbind("slope MCE" = c(0, 1, 0, 0, 0, 1, 0), "SMT - MCE at alliance 52" = c(0, 0, -1, 1, 0, -52, 52),
           "slope SMT - slope MCE" = c(0, 0, 0, 0, 0, -1, 1))

# A dummy that is 1 for one therapist only: I - H of that therapist is singular, CR2 takes its pseudo-inverse,
# and the SE of the dummy knows nothing of that therapist's own noise. clubSandwich counts eigenvalues up to
# 1e-12 as zero; with baseline as it stands rounding leaves one for T11 above that, which spoils df in the
# third digit (kept as `spoilt`). Centring baseline alters no slope and brings the eigenvalue down to zero.
by_one <- function(code, formula = outcome ~ by_one_therapist + I(baseline - 57)) {
  trial$by_one_therapist <- as.numeric(trial$therapist == code)
  lm(formula, trial)
}
largest_adjustment <- function(fit) {
  max(sapply(attr(vcovCR(fit, therapist, "CR2"), "adjustments"), function(A) max(eigen(A, TRUE)$values)))
}
singular <- function(code) {
  fit <- by_one(code)
  stopifnot(largest_adjustment(fit) < 10)
  c(list(therapist = code, n_patients = sum(trial$therapist == code)), cr(fit, therapist))
}
uncentred <- by_one("T11", outcome ~ by_one_therapist + baseline)
spoilt <- list(therapist = "T11", largest_adjustment = largest_adjustment(uncentred),
               cr2_satterthwaite = cr_rows(uncentred, vcovCR(uncentred, therapist, "CR2"), "Satterthwaite"))

stopifnot(all.equal(sandwich::vcovCL(interaction, cluster = therapist, type = "HC1"),
                    unclass(as.matrix(vcovCR(interaction, cluster = therapist, type = "CR1S"))),
                    check.attributes = FALSE, tolerance = 1e-12))

results <- list(
  interaction = list(formula = "outcome ~ alliance * arm + baseline", hc = hc(interaction),
                     cluster = cr(interaction, therapist)),
  arm_only = list(formula = "outcome ~ arm", hc = hc(arm_only), cluster = cr(arm_only, therapist)),
  vcov_cl_hc1 = matrix_of(sandwich::vcovCL(interaction, cluster = therapist, type = "HC1")),
  wald = list(
    interaction_arm = wald(interaction, V, constrain_zero(3:4)),
    interaction_alliance_arm = wald(interaction, V, constrain_zero(6:7)),
    interaction_all_slopes = wald(interaction, V, constrain_zero(c(2, 6, 7))),
    arm_only_arm = wald(arm_only, V_arm, constrain_zero(2:3))
  ),
  contrast = list(coefficients = unname(C), rows = contrast_rows(interaction, V, C)),
  singular = list(formula = "outcome ~ by_one_therapist + I(baseline - 57)", large = singular("T11"),
                  middle = singular("T06"), single_patient = singular("T01"), spoilt = spoilt)
)
write_golden("robust", c("sandwich", "lmtest", "clubSandwich"), list(trial = data_path("trial")), results)
