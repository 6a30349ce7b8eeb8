# Data of the mediation checks: one synthetic trial of our own, the lavaan tutorial's simulated data, and two
# data sets of the R package psych (GPL >= 2): Tal.Or (Tal-Or et al. 2010) and Garcia (Garcia et al. 2010).
source("r/_write.R")
suppressPackageStartupMessages(library(psych))

set.seed(20261)
n <- 240
severity <- rnorm(n)
w <- rnorm(n, 0.3, 1.2)
z <- rbinom(n, 1, 0.45)
arm <- rbinom(n, 1, 0.5)
therapist <- sample(rep(1:16, length.out = n))
skill <- rnorm(16, 0, 0.4)[therapist]
alliance <- 4 + 0.5 * arm + 0.2 * w + 0.3 * arm * w - 0.2 * severity + skill + rnorm(n)
trust <- 1 + 0.3 * arm + 0.4 * alliance + 0.1 * severity + rnorm(n)
pain <- 9 - 0.4 * arm - 0.5 * alliance - 0.2 * alliance * w + 0.1 * w - 0.3 * trust + 0.4 * severity - 0.2 * arm * w +
  skill + rnorm(n)
responder <- rbinom(n, 1, plogis(-2 + 0.3 * arm + 0.4 * alliance - 0.3 * severity + 0.2 * arm * alliance))
bonded <- rbinom(n, 1, plogis(-1.6 + 0.7 * arm + 0.3 * alliance - 0.2 * severity))
visits <- rpois(n, exp(0.3 + 0.2 * arm + 0.15 * alliance))
stars <- cut(0.5 * alliance + 0.4 * arm + rlogis(n), c(-Inf, 1, 2, 3.5, Inf), labels = FALSE)
mood <- cut(0.4 * trust - 0.3 * severity + 0.3 * arm + rnorm(n), c(-Inf, 0.5, 1.2, 2, Inf), labels = FALSE)
group <- c("GE", "MCE", "SMT")[sample(1:3, n, TRUE)]
write_data(data.frame(arm, group, therapist, severity, w, z, alliance, trust, pain, responder, bonded, visits, stars,
                      mood), "mediation_trial")

set.seed(1234)
X <- rnorm(100)
M <- 0.5 * X + rnorm(100)
Y <- 0.7 * M + rnorm(100)
write.csv(data.frame(X, Y, M), data_path("mediation_tutorial"), row.names = FALSE, quote = FALSE)

e <- new.env()
data(list = "Tal.Or", package = "psych", envir = e)
tal <- as.data.frame(get(ls(e)[1], envir = e))
write.csv(data.frame(cond = tal$cond, pmi = tal$pmi, importance = tal$import, reaction = tal$reaction),
          data_path("mediation_talor"), row.names = FALSE)

garcia <- as.data.frame(psych::Garcia)[, c("sexism", "liking", "respappr", "prot2")]
write.csv(garcia, data_path("mediation_garcia"), row.names = FALSE)
