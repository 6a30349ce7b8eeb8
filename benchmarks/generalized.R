# Fits one model with lme4, glmmTMB or geepack and prints seconds, deviance, coefficients and peak memory as JSON; see generalized.py.
suppressPackageStartupMessages(library(jsonlite))
arguments <- commandArgs(trailingOnly = TRUE)
who <- arguments[1]
task <- fromJSON(arguments[2])
data <- read.csv(task$file)
for (group in task$groups) data[[group]] <- factor(data[[group]])
left <- if (is.null(task$trials)) task$outcome else sprintf("cbind(%s, %s - %s)", task$outcome, task$trials, task$outcome)
formula <- as.formula(paste(left, "~", task$right))
fit <- switch(who,
  "glmer" = , "glmer, no derivatives" = {
    suppressPackageStartupMessages(library(lme4))
    control <- glmerControl(calc.derivs = who == "glmer", check.conv.singular = "ignore")
    function() suppressWarnings(suppressMessages(
      glmer(formula, data, family = binomial(), nAGQ = task$quadrature, control = control)))
  },
  "glmmTMB" = {
    suppressPackageStartupMessages(library(glmmTMB))
    family <- switch(task$family, binomial = binomial(), betabinomial = betabinomial())
    function() glmmTMB(formula, data, family = family)
  },
  "geepack" = {
    suppressPackageStartupMessages(library(geepack))
    data <- data[order(data[[task$groups[1]]]), ]
    data$cluster <- as.integer(data[[task$groups[1]]])
    function() geeglm(formula, id = cluster, data = data, family = binomial(), corstr = "exchangeable")
  })
now <- function() proc.time()[["elapsed"]]
if (task$repeats > 1) found <- fit()
seconds <- min(vapply(seq_len(task$repeats), function(i) { start <- now(); found <<- fit(); now() - start }, 0))
beta <- switch(who, "glmmTMB" = fixef(found)$cond, "geepack" = coef(found), fixef(found))
deviance <- if (who == "geepack") NULL else -2 * c(logLik(found))
status <- readLines("/proc/self/status")
peak <- as.numeric(gsub("[^0-9]", "", grep("^VmHWM", status, value = TRUE))) / 1024
cat(toJSON(list(seconds = seconds, deviance = deviance, coefficients = unname(beta), megabytes = peak),
           auto_unbox = TRUE, digits = NA, null = "null"), "\n")
