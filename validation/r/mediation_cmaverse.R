# Four-way decomposition by CMAverse 0.1.0 (GPL-3; not in Debian) with closed formulas and the delta method, on
# data of our own. The formulas are those of Valeri & VanderWeele 2013 and VanderWeele 2014.
source("r/_write.R")
suppressPackageStartupMessages(library(CMAverse))
d <- read.csv(data_path("mediation_fourway"))
run <- function(...) {
  f <- cmest(data = d, model = "rb", exposure = "arm", basec = "sev", EMint = TRUE, astar = 0, a = 1,
             estimation = "paramfunc", inference = "delta", ...)
  list(est = named(f$effect.pe), se = named(f$effect.se), lo = named(f$effect.ci.low), hi = named(f$effect.ci.high),
       p = named(f$effect.pval))
}
results <- list(
  linear_linear = run(outcome = "y", mediator = "alliance", mreg = list("linear"), yreg = "linear", mval = list(4.5)),
  logistic_linear = run(outcome = "resp", mediator = "alliance", mreg = list("linear"), yreg = "logistic",
                        mval = list(4.5)),
  linear_logistic = run(outcome = "y", mediator = "hi", mreg = list("logistic"), yreg = "linear", mval = list(1)),
  logistic_logistic = run(outcome = "resp", mediator = "hi", mreg = list("logistic"), yreg = "logistic",
                          mval = list(1))
)
write_golden("mediation_fourway", "CMAverse", list(fourway = data_path("mediation_fourway")), results)
