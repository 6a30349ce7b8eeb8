# Shared by the mixed-model scripts: lmer() driven to the optimum, and one description of a fit.
source("r/_write.R")
source("r/mixed_dense.R")
suppressPackageStartupMessages({
  library(lme4)
  library(lmerTest)
  library(pbkrtest)
})
mixed_packages <- c("lme4", "lmerTest", "pbkrtest", "nlme", "Matrix", "minqa", "nloptr", "numDeriv")
mixed_path <- function(name) data_path(paste0("mixed_", name))

# Levels in C order whatever the locale; `levels` names those whose first level is not the alphabetical one.
read_mixed <- function(name, factors, levels = list(), path = mixed_path(name)) {
  frame <- read.csv(path)
  for (f in factors) {
    text <- as.character(frame[[f]])
    order <- if (is.null(levels[[f]])) sort(unique(text), method = "radix") else levels[[f]]
    frame[[f]] <- factor(text, levels = order)
  }
  frame
}
read_therapy <- function(name = "therapy") {
  read_mixed(name, c("therapist", "patient", "case", "site", "arm"))
}

# ---- the optimum -------------------------------------------------------------------------------------------
# Newton steps over the parameters not held at 0; the criterion is even in each of those, so a parameter stays
# at 0 only where moving it does not help. Flat directions (eigenvalue near 0) are left alone.
newton_step <- function(fn, x) {
  unit <- .03 * pmax(abs(x), .02)
  scaled <- function(u) fn(x + unit * u)
  g <- numDeriv::grad(scaled, 0 * x, method.args = list(eps = 1))
  e <- eigen(numDeriv::hessian(scaled, 0 * x, method.args = list(eps = 1)), symmetric = TRUE)
  use <- e$values > 1e-7 * max(e$values)
  U <- e$vectors[, use, drop = FALSE]
  drop(-unit * U %*% (crossprod(U, g) / e$values[use]))
}
at_free <- function(fn, par, free) function(x) { par[free] <- x; fn(par) }
newton_polish <- function(fn, par, lower, steps = 12) {
  for (k in seq_len(steps)) {
    free <- !(lower == 0 & abs(par) < 1e-5)
    par[!free] <- 0
    if (!any(free)) break
    at <- at_free(fn, par, free)
    step <- newton_step(at, par[free])
    worse <- at(par[free] + step) > fn(par) + 1e-12 * abs(fn(par))
    if (worse || any((par[free] + step)[lower[free] == 0] < 0)) break
    par[free] <- par[free] + step
    if (max(abs(step)) < 1e-10) break
  }
  par
}
optimum_log <- new.env()
polished <- function(fn, par, lower = -Inf, upper = Inf, control = list()) {
  lower <- rep_len(lower, length(par))
  tight_nlopt <- list(xtol_abs = 1e-12, ftol_abs = 1e-12, xtol_rel = 0, ftol_rel = 0, maxeval = 1e5)
  large <- isTRUE(control$one_start)
  starts <- if (large) list(par) else list(par, .25 * par, 3 * par)
  found <- lapply(starts, function(start) {
    a <- minqa::bobyqa(start, fn, lower, control = list(rhobeg = .1, rhoend = 1e-9, maxfun = 1e5))$par
    b <- lme4::nloptwrap(start, fn, lower, rep(Inf, length(start)), tight_nlopt)$par
    list(a, b)
  })
  found <- unlist(found, recursive = FALSE)
  value <- sapply(found, fn)
  par <- newton_polish(fn, found[[which.min(value)]], lower, steps = if (large) 2 else 12)
  free <- !(lower == 0 & par == 0)
  optimum_log$short <- if (any(free)) max(abs(newton_step(at_free(fn, par, free), par[free]))) else 0
  optimum_log$gap <- max(value) - fn(par)
  beside <- sapply(which(!free), function(j) fn(replace(par, j, 1e-3)))
  stopifnot(fn(par) <= min(value) + 1e-11 * abs(min(value)), optimum_log$short < 1e-7,
            all(unlist(beside) >= fn(par)))
  list(par = par, fval = fn(par), conv = 0, message = "polished")
}
tight <- function(...) {
  lmerControl(optimizer = polished, calc.derivs = FALSE, check.conv.singular = "ignore",
              check.rankX = "message+drop.cols", optCtrl = list(...))
}
quick <- lmerControl(calc.derivs = FALSE, check.conv.singular = "ignore")
fit_lmm <- function(formula, data, REML = TRUE, weights = NULL, contrasts = NULL, control = tight()) {
  call <- bquote(lmerTest::lmer(.(formula), data = data, REML = .(REML), control = control,
                                contrasts = .(contrasts)))
  if (!is.null(weights)) call$weights <- as.name(weights)
  fit <- eval(call)
  report_default(fit, call)
  fit
}
criterion <- function(fit) -2 * as.numeric(logLik(fit))
# Where lmer() with its own settings stops short is worth knowing: said on the console, not in the golden file.
report_default <- function(fit, call) {
  call[[1]] <- quote(lme4::lmer)
  call$control <- quick
  data <- eval(quote(data), parent.frame())
  plain <- suppressMessages(eval(call))
  off <- function(f) as.data.frame(VarCorr(f))$vcov
  scale <- max(abs(off(fit)))
  message(sprintf("%-78s %s Newton step left %.0e; engines' gap %.0e; default lmer %+.1e, variances off by %.0e",
                  substr(deparse1(formula(fit)), 1, 78), if (isREML(fit)) "REML" else "ML", optimum_log$short,
                  optimum_log$gap, criterion(plain) - criterion(fit), max(abs(off(plain) - off(fit))) / scale))
}

# ---- the description ---------------------------------------------------------------------------------------
array_of <- function(m) list(terms = I(rownames(m)), values = unname(as.matrix(m)))
# A variance component bears the name of its grouping factor, also in `(x || g)`, where lme4 numbers them.
component_groups <- function(fit) setNames(names(getME(fit, "cnms")), names(VarCorr(fit)))
random_rows <- function(fit) {
  v <- as.data.frame(VarCorr(fit))
  group <- ifelse(v$grp == "Residual", "Residual", component_groups(fit)[v$grp])
  data.frame(group, term1 = v$var1, term2 = v$var2, sd_or_cor = v$sdcor, variance_or_cov = v$vcov)
}
fixed_rows <- function(fit) {
  s <- coef(summary(fit))
  data.frame(term = rownames(s), estimate = s[, 1], std_error = s[, 2], df = s[, "df"], statistic = s[, "t value"],
             p_value = s[, "Pr(>|t|)"], row.names = NULL)
}
kenward_roger_rows <- function(fit, adjusted) {
  b <- fixef(fit)
  se <- sqrt(diag(as.matrix(adjusted)))
  df <- sapply(seq_along(b), function(j) Lb_ddf(as.numeric(seq_along(b) == j), vcov(fit), adjusted))
  data.frame(term = names(b), estimate = unname(b), std_error = unname(se), df, statistic = unname(b / se),
             p_value = 2 * pt(-abs(unname(b / se)), df))
}
f_rows <- function(table, sigma) {
  data.frame(term = rownames(table), num_df = table$NumDF, den_df = table$DenDF, statistic = table[["F value"]],
             p_value = table[["Pr(>F)"]], scaling = table[["F value"]] * sigma^2 / table[["Mean Sq"]],
             row.names = NULL)
}
# `scaling` is Kenward and Roger's lambda: the statistic is lambda times the Wald F.
type3 <- function(fit, data, weights, kr) {
  used <- intersect(all.vars(nobars(formula(fit))), names(data)[sapply(data, is.factor)])
  if (!length(used)) return(NULL)
  sums <- fit_lmm(formula(fit), data, isREML(fit), weights, as.list(sapply(used, function(f) "contr.sum")))
  test <- function(ddf) f_rows(anova(sums, type = 3, ddf = ddf), sigma(sums))
  list(contrasts = "contr.sum", satterthwaite = test("Satterthwaite"),
       kenward_roger = if (kr) test("Kenward-Roger"))
}
ranef_rows <- function(fit, first = 10) {
  all <- as.data.frame(ranef(fit, condVar = TRUE))
  rows <- lapply(split(all, all$grpvar), function(g) {
    g <- g[g$grp %in% head(levels(getME(fit, "flist")[[as.character(g$grpvar[1])]]), first), ]
    data.frame(group = as.character(g$grpvar), level = as.character(g$grp), term = as.character(g$term),
               estimate = g$condval, std_error = g$condsd)
  })
  do.call(rbind, unname(rows))
}
# Mean over the rows of z' S z, for each random term: the variance it puts into an observation (Johnson 2014).
term_variances <- function(fit) {
  spread <- getME(fit, "Lambdat") %*% getME(fit, "Zt")
  gp <- getME(fit, "Gp")
  per_term <- sapply(seq_len(length(gp) - 1), function(k) sum(spread[(gp[k] + 1):gp[k + 1], ]^2))
  group <- names(getME(fit, "cnms"))
  tapply(per_term * sigma(fit)^2 / nobs(fit), factor(group, unique(group)), sum)
}
# Nakagawa & Schielzeth (2013), Johnson (2014): the variance of X b has denominator n - 1.
r_squared <- function(fit) {
  fixed <- var(as.vector(getME(fit, "X") %*% fixef(fit)))
  random <- sum(term_variances(fit))
  total <- fixed + random + sigma(fit)^2
  list(marginal = fixed / total, conditional = (fixed + random) / total, variance_fixed = fixed,
       variance_random = random, variance_residual = sigma(fit)^2)
}
# `share` of the variance given the fixed effects; `correlation` of two observations alike in this factor, which
# share the factors it is nested in too.
icc_rows <- function(fit) {
  share <- term_variances(fit) / (sum(term_variances(fit)) + sigma(fit)^2)
  factors <- getME(fit, "flist")[names(share)]
  correlation <- sapply(names(share), function(g) {
    sum(share[sapply(names(share), function(h) isNested(factors[[g]], factors[[h]]))])
  })
  data.frame(group = names(share), share = as.vector(share), correlation = unname(correlation))
}
describe_lmm <- function(fit, data, key, weights = NULL, kr = isREML(fit) && is.null(weights), tests = TRUE) {
  ll <- logLik(fit)
  adjusted <- if (kr) vcovAdj(fit)
  dropped <- attr(getME(fit, "X"), "col.dropped")
  in_fixed <- intersect(names(model.frame(fit)), all.vars(nobars(formula(fit))))
  xlevels <- lapply(Filter(is.factor, model.frame(fit)[in_fixed]), levels)
  list(
    formula = deparse1(formula(fit)), method = if (isREML(fit)) "REML" else "ML", data = key, weights = weights,
    levels = if (length(xlevels)) xlevels,
    n_obs = nobs(fit), n_dropped = nrow(data) - nobs(fit), groups = as.list(ngrps(fit)),
    criterion = -2 * as.numeric(ll), log_likelihood = as.numeric(ll), aic = AIC(fit), bic = BIC(fit),
    df = attr(ll, "df"), sigma = sigma(fit), singular = isSingular(fit), theta = named(getME(fit, "theta")),
    dropped_terms = I(as.character(names(dropped))), fixed = fixed_rows(fit), vcov = array_of(vcov(fit)),
    random = random_rows(fit), kenward_roger = if (kr) kenward_roger_rows(fit, adjusted),
    kenward_roger_vcov = if (kr) array_of(adjusted), type3 = if (tests) type3(fit, data, weights, kr),
    ranef = ranef_rows(fit), fitted = unname(head(fitted(fit), 10)),
    population = unname(head(as.vector(getME(fit, "X") %*% fixef(fit)), 10)),
    residual = unname(head(residuals(fit), 10)),
    r2 = if (is.null(weights)) r_squared(fit), icc = if (is.null(weights)) icc_rows(fit)
  )
}
# Fit, check against the dense formulas, describe.
golden_lmm <- function(formula, data, key, REML = TRUE, weights = NULL, tests = TRUE, kr = REML && is.null(weights)) {
  fit <- fit_lmm(formula, data, REML, weights)
  described <- describe_lmm(fit, data, key, weights, kr = kr, tests = tests)
  described$formula <- deparse1(formula)
  check_dense(fit, described, weights)
}
