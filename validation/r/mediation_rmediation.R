# Distribution of the product of two normal estimates by RMediation 1.5.0 (GPL; not in Debian): intervals and
# distribution function (Meeker & Escobar's algorithm, type "dop").
source("r/_write.R")
suppressPackageStartupMessages(library(RMediation))
cases <- list(doc = c(.2, .4, 1, 1, 0), a = c(.39, .59, .10, .12, 0), b = c(.15, .35, .08, .09, 0),
              c = c(.1, .2, .05, .08, .3))
results <- lapply(cases, function(v) {
  f <- medci(v[1], v[2], v[3], v[4], rho = v[5], alpha = .05, type = "dop")
  q <- c(-.05, 0, .1, .2)
  list(input = setNames(as.list(v), c("mu.x", "mu.y", "se.x", "se.y", "rho")), dop = lapply(f, unname), cdf_q = q,
       cdf = sapply(q, function(q) pprodnormal(q, v[1], v[2], v[3], v[4], v[5], type = "dop")))
})
write_golden("mediation_product", "RMediation", list(), results)
