# Fits one model with lme4 and prints seconds, criterion and peak memory as JSON; see mixed.py.
suppressPackageStartupMessages({
  library(lme4)
  library(jsonlite)
})
task <- fromJSON(commandArgs(trailingOnly = TRUE)[1])
data <- read.csv(task$file)
for (group in task$groups) data[[group]] <- factor(data[[group]])
control <- lmerControl(calc.derivs = FALSE)
now <- function() proc.time()[["elapsed"]]
fit <- function(frame) suppressWarnings(suppressMessages(lmer(as.formula(task$formula), frame, control = control)))
if (task$refits) {
  # refit() does not reproduce a REML fit in this version (see validation/README.md): every response is a fresh fit.
  start <- now()
  criteria <- vapply(0:999, function(j) { data$y <- data[[paste0("y", j)]]; REMLcrit(fit(data[c("patient", "time", "arm", "y")])) }, 0)
  seconds <- now() - start
  criterion <- criteria[1]
} else {
  repeats <- if (nrow(data) > 1e5) 1 else task$repeats
  if (nrow(data) < 1e5) fit(data)
  seconds <- min(vapply(seq_len(repeats), function(i) { start <- now(); found <<- fit(data); now() - start }, 0))
  criterion <- REMLcrit(found)
}
status <- readLines("/proc/self/status")
peak <- as.numeric(gsub("[^0-9]", "", grep("^VmHWM", status, value = TRUE))) / 1024
cat(toJSON(list(seconds = seconds, criterion = criterion, megabytes = peak), auto_unbox = TRUE, digits = NA), "\n")
