# One peer of benchmarks/mediation.py: the arguments are the task (lavaan or lme), a csv file and how many resamples to time.
# Prints {"seconds": …, "value": …} as its last line.
suppressPackageStartupMessages({library(jsonlite)})
given <- commandArgs(trailingOnly = TRUE)
d <- read.csv(given[2])
resamples <- as.integer(given[3])
elapsed <- function(run, repeats = 3) {
  run()
  min(sapply(seq_len(repeats), function(i) system.time(run())[["elapsed"]]))
}
if (given[1] == "lavaan") {
  suppressPackageStartupMessages(library(lavaan))
  model <- "alliance ~ a*arm + severity + age + duration
            pain ~ b*alliance + arm + severity + age + duration
            indirect := a*b"
  set.seed(1)
  once <- elapsed(function() sem(model, d))
  many <- elapsed(function() sem(model, d, se = "bootstrap", bootstrap = resamples), 1)
  seconds <- (many - once) / resamples
  value <- coef(sem(model, d), type = "user")[["indirect"]]
} else {
  suppressPackageStartupMessages(library(nlme))
  s <- rbind(data.frame(patient = d$patient, z = d$alliance, Sm = 1, Sy = 0, a = d$practice, b = 0, c_prime = 0),
             data.frame(patient = d$patient, z = d$relief, Sm = 0, Sy = 1, a = 0, b = d$alliance, c_prime = d$practice))
  fit <- function() lme(z ~ 0 + Sm + a + Sy + b + c_prime, s, list(patient = pdSymm(~ 0 + Sm + Sy + a + b + c_prime)),
                        weights = varIdent(form = ~ 1 | Sm), method = "REML",
                        control = lmeControl(maxIter = 500, msMaxIter = 500, msMaxEval = 2000))
  seconds <- elapsed(fit, 5)
  value <- as.numeric(logLik(fit()))
}
cat(toJSON(list(seconds = seconds, value = value), auto_unbox = TRUE, digits = NA), "\n")
