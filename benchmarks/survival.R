# Fits one model or curve with survival and prints seconds and the number compared as JSON; see survival.py.
suppressPackageStartupMessages({
  library(survival)
  library(jsonlite)
})
task <- fromJSON(commandArgs(trailingOnly = TRUE)[1])
data <- read.csv(task$file)
if (task$kind == "km") {
  formula <- as.formula(paste(task$formula, "~ 1"))
  fit <- function() sum(survfit(formula, data, conf.type = "log-log")$surv)
} else {
  text <- task$formula
  if (!is.null(task$frailty)) text <- paste0(text, " + frailty.gamma(", task$frailty, ", sparse = FALSE)")
  formula <- as.formula(text)
  data$groups <- if (is.null(task$cluster)) NULL else data[[task$cluster]]
  fit <- function() {
    found <- if (is.null(task$cluster)) coxph(formula, data) else coxph(formula, data, cluster = groups)
    if (is.null(task$frailty)) found$loglik[2] else found$history[[1]]$c.loglik
  }
}
value <- fit()
now <- function() proc.time()[["elapsed"]]
seconds <- min(vapply(seq_len(task$repeats), function(i) { start <- now(); fit(); now() - start }, 0))
cat(toJSON(list(seconds = seconds, value = value), auto_unbox = TRUE, digits = NA), "\n")
