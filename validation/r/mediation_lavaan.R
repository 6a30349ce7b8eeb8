# Linear mediation by lavaan: the tutorial, and PROCESS models 4, 5, 6, 7, 8, 14, 15, 58, 59 with conditional
# indirect effects and indices, delta standard errors from the observed information.
source("r/_write.R")
suppressPackageStartupMessages(library(lavaan))
trial <- read.csv(data_path("mediation_trial"))
tutorial <- read.csv(data_path("mediation_tutorial"))

# lavaan's optimiser by default stops at about five digits: started at the least-squares solution, which is the
# maximum of these recursive models, it has only to confirm it.
fitted_model <- function(text, d, ...) {
  blank <- parTable(sem(text, d, do.fit = FALSE, ...))
  left <- list()
  for (y in unique(blank$lhs[blank$op == "~"])) {
    own <- blank$op == "~" & blank$lhs == y
    fit <- lm(reformulate(blank$rhs[own], y), d)
    blank$est[own] <- coef(fit)[blank$rhs[own]]
    blank$est[blank$op == "~1" & blank$lhs == y] <- coef(fit)[["(Intercept)"]]
    blank$est[blank$op == "~~" & blank$lhs == y & blank$rhs == y] <- mean(residuals(fit)^2)
    left[[y]] <- residuals(fit)
  }
  # Errors of parallel mediators go together: what they share beside the treatment is no part of the model.
  for (i in which(blank$op == "~~" & blank$lhs != blank$rhs & blank$lhs %in% names(left))) {
    blank$est[i] <- mean(left[[blank$lhs[i]]] * left[[blank$rhs[i]]])
  }
  fit <- sem(text, d, start = blank, ...)
  stopifnot(lavInspect(fit, "converged"))
  fit
}
rows <- function(fit, defined = FALSE) {
  p <- parameterEstimates(fit)
  p <- p[if (defined) p$op == ":=" else p$op %in% c("~", ":="), ]
  p$name <- ifelse(p$op == ":=", p$lhs, paste0(p$lhs, p$op, p$rhs))
  lapply(split(p, p$name), function(r) list(estimate = r$est, std_error = r$se, conf_low = r$ci.lower,
                                            conf_high = r$ci.upper))
}
simple <- "Y ~ c*X + b*M\nM ~ a*X\nab := a*b\ntotal := c + a*b"
tut <- list(ml = rows(fitted_model(simple, tutorial)), mlr = rows(fitted_model(simple, tutorial, estimator = "MLR")),
            log_likelihood = as.numeric(fitMeasures(sem(simple, tutorial), "logl")))

d <- transform(trial, aw = arm * w, mw = alliance * w)
m <- mean(d$w)
s <- sd(d$w)
at <- sprintf("%.17g", c(m - s, m, m + s))
model <- function(a, b, c) {
  med <- paste0("alliance ~ a*arm + severity", if (a) " + w + aw_a*aw")
  out <- paste0("pain ~ c*arm + b*alliance + severity", if (b || c) " + w", if (b) " + bw*mw", if (c) " + cw*aw")
  slope <- function(w) {
    paste0("(a", if (a) paste0(" + aw_a*(", w, ")"), ")*(b", if (b) paste0(" + bw*(", w, ")"), ")")
  }
  direct <- function(w) paste0("c", if (c) paste0(" + cw*(", w, ")"))
  lines <- c(med, out, paste0("indirect", 1:3, " := ", sapply(at, slope)),
             paste0("direct", 1:3, " := ", sapply(at, direct)),
             paste0("difference := ", slope(at[3]), " - (", slope(at[1]), ")"),
             if (a && !b) "index := aw_a*b", if (b && !a) "index := a*bw")
  paste(lines, collapse = "\n")
}
run <- function(text) {
  rows(fitted_model(text, d, meanstructure = TRUE, information = "observed"), defined = TRUE)
}
process <- list(
  "4" = run(paste("alliance ~ a1*arm + severity", "trust ~ a2*arm + severity",
                  "pain ~ c*arm + b1*alliance + b2*trust + severity", "alliance ~~ trust", "i1 := a1*b1", "i2 := a2*b2",
                  "indirect := a1*b1 + a2*b2", "difference := a1*b1 - a2*b2",
                  "total := c + a1*b1 + a2*b2", sep = "\n")),
  "6" = run(paste("alliance ~ a1*arm + severity", "trust ~ a2*arm + d21*alliance + severity",
                  "pain ~ c*arm + b1*alliance + b2*trust + severity", "i1 := a1*b1", "i2 := a2*b2",
                  "i12 := a1*d21*b2", "indirect := a1*b1 + a2*b2 + a1*d21*b2",
                  "total := c + a1*b1 + a2*b2 + a1*d21*b2", sep = "\n")),
  "5" = run(model(FALSE, FALSE, TRUE)), "7" = run(model(TRUE, FALSE, FALSE)),
  "8" = run(model(TRUE, FALSE, TRUE)), "14" = run(model(FALSE, TRUE, FALSE)),
  "15" = run(model(FALSE, TRUE, TRUE)), "58" = run(model(TRUE, TRUE, FALSE)),
  "59" = run(model(TRUE, TRUE, TRUE))
)

# Two moderators of the first path: index of moderated moderated mediation
dd <- transform(d, az = arm * z, wz = w * z, awz = arm * w * z)
double <- paste("alliance ~ a*arm + w + z + a4*aw + a5*az + wz + a7*awz", "pain ~ c*arm + b*alliance",
                "index_wz := a7*b", "index_w0 := a4*b", "index_w1 := (a4 + a7)*b", sep = "\n")
double <- rows(fitted_model(double, dd, meanstructure = TRUE, information = "observed"), defined = TRUE)

write_golden("mediation_lavaan", "lavaan",
             list(trial = data_path("mediation_trial"), tutorial = data_path("mediation_tutorial")),
             list(tutorial = tut, process = process, double = double))
