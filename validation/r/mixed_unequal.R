# Residual variances that differ by group: nlme::lme() with varIdent(), set on the optimum of the dense formulas.
source("r/mixed_common.R")
suppressPackageStartupMessages(library(nlme))
therapy <- subset(read_therapy(), !is.na(outcome) & !is.na(alliance))
post <- read_mixed("partial_post", c("therapist", "patient"))
# lme() wants a group for everybody: the untreated are each their own, and (0 + treated) leaves it without effect.
post$cluster <- factor(ifelse(is.na(post$therapist), as.character(post$patient), as.character(post$therapist)))

# G_i of one grouping factor: its variances and covariances in lower-triangle order, column by column.
random_parts <- function(Z, group) {
  J <- outer(as.character(group), as.character(group), "==")
  parts <- list()
  for (b in seq_len(ncol(Z))) for (a in b:ncol(Z)) {
    g <- outer(Z[, a], Z[, b]) * J
    parts <- c(parts, list(if (a == b) g else g + t(g)))
  }
  parts
}
residual_parts <- function(stratum) lapply(levels(stratum), function(s) diag(as.numeric(stratum == s)))
stratum_sigmas <- function(fit, strata) {
  ratio <- coef(fit$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE)
  setNames(fit$sigma * ratio[strata], strata)
}
lme_rows <- function(fit) {
  t <- summary(fit, adjustSigma = FALSE)$tTable
  data.frame(term = rownames(t), estimate = t[, "Value"], std_error = t[, "Std.Error"], df = t[, "DF"],
             statistic = t[, "t-value"], p_value = t[, "p-value"], row.names = NULL)
}
# summary.lme() by default widens the SEs of an ML fit by sqrt(N / (N - p)).
adjusted_se <- function(fit) unname(summary(fit)$tTable[, "Std.Error"])
random_table <- function(S, group) {
  at <- which(lower.tri(S, diag = TRUE), arr.ind = TRUE)
  at <- at[order(at[, 1] != at[, 2]), , drop = FALSE]
  variance <- at[, 1] == at[, 2]
  data.frame(group, term1 = colnames(S)[at[, 2]], term2 = ifelse(variance, NA, rownames(S)[at[, 1]]),
             sd_or_cor = ifelse(variance, sqrt(abs(S[at])), cov2cor(S)[at]), variance_or_cov = S[at],
             row.names = NULL)
}
# The first ten levels, those of the untreated (all 0) left out.
ranef_table <- function(fit, group) {
  b <- as.matrix(ranef(fit))
  b <- head(b[rowSums(abs(b)) > 0, , drop = FALSE], 10)
  data.frame(group, level = rownames(b)[row(b)], term = colnames(b)[col(b)], estimate = as.vector(b))
}

unequal <- function(fixed, random, group, strata, data, key, method, weights_form) {
  group_column <- data[[group]]
  y <- model.response(model.frame(fixed, data))
  X <- model.matrix(fixed, data)
  G <- c(random_parts(model.matrix(random, data), group_column), residual_parts(data[[strata]]))
  REML <- method == "REML"
  # The first fit is a start, the second one evaluation: neither's word on convergence matters, the gaps below do.
  lme_at <- function(structure, weights, control) {
    suppressWarnings(lme(fixed, data, random = setNames(list(structure), group), weights = weights, method = method,
                         control = control))
  }
  start <- lme_at(pdSymm(random), varIdent(form = weights_form),
                  lmeControl(msMaxIter = 500, maxIter = 500, opt = "optim"))
  S <- getVarCov(start)
  sigmas <- stratum_sigmas(start, levels(data[[strata]]))
  phi <- dense_newton(y, X, G, c(S[lower.tri(S, diag = TRUE)], sigmas^2), REML)
  k <- ncol(S) * (ncol(S) + 1) / 2
  S[lower.tri(S, diag = TRUE)] <- phi[1:k]
  S[upper.tri(S)] <- t(S)[upper.tri(S)]
  S <- unclass(S)
  attr(S, "group.levels") <- NULL
  s2 <- setNames(phi[-(1:k)], levels(data[[strata]]))
  ratios <- coef(start$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE)
  reference <- names(ratios)[1]
  others <- names(ratios)[-1]
  fit <- lme_at(pdSymm(S / s2[[reference]], random),
                varIdent(setNames(sqrt(s2[others] / s2[[reference]]), others), weights_form),
                lmeControl(niterEM = 0, msMaxIter = 0, maxIter = 1, returnObject = TRUE, opt = "nlminb"))
  dense <- dense_state(y, X, G, phi)
  criterion <- dense_criterion(y, X, G, phi, REML)
  lme_sigmas <- stratum_sigmas(fit, levels(data[[strata]]))
  gaps <- c(criterion = abs(criterion + 2 * as.numeric(logLik(fit))),
            start = -2 * as.numeric(logLik(start)) - criterion,
            estimate = max(abs(fixef(fit) / dense$beta - 1)), vcov = max(abs(vcov(fit) / dense$Phi - 1)),
            sigma = max(abs(lme_sigmas^2 / s2 - 1)), random = max(abs(unclass(getVarCov(fit)) / S - 1)))
  message(deparse1(random), " | ", group, " ", method, ": lme against dense ",
          paste(names(gaps), format(gaps, digits = 1), collapse = "; "))
  stopifnot(abs(gaps[c("criterion", "estimate", "vcov", "sigma", "random")]) < 1e-6)
  df <- dense_satterthwaite(y, X, G, phi, REML)
  rows <- lme_rows(fit)
  list(
    formula = deparse1(fixed), random_formula = paste(deparse1(random), "|", group), strata = strata,
    method = method, data = key, levels = lapply(Filter(is.factor, model.frame(fixed, data)), levels),
    n_obs = nobs(fit), groups = setNames(list(nlevels(droplevels(group_column))), group),
    criterion = criterion, log_likelihood = -criterion / 2, df = attr(logLik(fit), "df"), aic = AIC(fit),
    bic = BIC(fit),
    sigma = as.list(sqrt(s2)), fixed_lme = rows, std_error_lme_adjusted = adjusted_se(fit),
    vcov = array_of(vcov(fit)), random = random_table(S, group),
    satterthwaite = data.frame(term = rows$term, df = unname(df), p_value = 2 * pt(-abs(rows$statistic), df)),
    kenward_roger = if (REML) dense_kr_rows(y, X, G, phi),
    kenward_roger_vcov = if (REML) array_of(dense_kenward_roger(y, X, G, phi)$vcov),
    fitted = unname(head(fitted(fit), 10)), population = unname(head(fitted(fit, level = 0), 10)),
    residual = unname(head(residuals(fit), 10)),
    residual_pearson = unname(head(residuals(fit, type = "pearson"), 10)),
    ranef = ranef_table(fit, group)
  )
}
fixed <- outcome ~ alliance_within + alliance_between + week + arm
arms <- function(random, method) unequal(fixed, random, "patient", "arm", therapy, "therapy", method, ~ 1 | arm)
post$status <- factor(ifelse(post$treated == 1, "treated", "untreated"))
clinic <- function(method) {
  unequal(outcome ~ treated + baseline, ~ 0 + treated, "cluster", "status", post, "partial_post", method, ~ 1 | status)
}
results <- list(
  intercept = list(reml = arms(~ 1, "REML"), ml = arms(~ 1, "ML")),
  growth = list(reml = arms(~ 1 + week, "REML"), ml = arms(~ 1 + week, "ML")),
  partial_post = list(reml = clinic("REML"), ml = clinic("ML"))
)
write_golden("mixed_unequal", c("nlme", "lme4"),
             list(therapy = mixed_path("therapy"), partial_post = mixed_path("partial_post")), results)
