# Data for survival models: a synthetic therapy with dropout and planned ends, one with censoring and many ties, and sets of
# the survival package (LGPL >= 2).
source("r/_write.R")
suppressPackageStartupMessages(library(survival))
RNGversion("4.2.0")
survival_key <- function(name) paste0("survival_", name)

# 300 patients of 20 therapists, planned for 6 to 12 sessions; a low alliance raises the hazard of leaving after a session.
set.seed(321)
therapists <- 20
patients <- 300
therapist <- sample(1:therapists, patients, TRUE)
effect <- rnorm(therapists, 0, .5)
arm <- rbinom(patients, 1, .5)
own <- rnorm(patients, 0, .6)
one_patient <- function(i) {
  level <- 5 + own[i] + .2 * arm[i]
  planned <- sample(6:12, 1)
  rows <- list()
  for (s in 1:12) {
    alliance <- round(level + .05 * s + rnorm(1, 0, .5), 3)
    hazard <- 1 - exp(-exp(-3.1 - .55 * (alliance - 5) + effect[therapist[i]] - .04 * s))
    left <- rbinom(1, 1, hazard)
    rows[[s]] <- data.frame(id = i, therapist = therapist[i], arm = arm[i], planned, session = s, start = s - 1, stop = s,
                            alliance, drop = left)
    if (left || s == planned) break
  }
  do.call(rbind, rows)
}
sessions <- do.call(rbind, lapply(seq_len(patients), one_patient))
first <- sessions[sessions$session == 1, ]
last <- sessions[!duplicated(sessions$id, fromLast = TRUE), ]
ends <- data.frame(first[c("id", "therapist", "arm")], alliance1 = first$alliance, time = last$stop,
                   status = ifelse(last$drop == 1, 1, 2))
ends$tert <- cut(ends$alliance1, quantile(ends$alliance1, 0:3 / 3), include.lowest = TRUE, labels = c("low", "mid", "high"))
write_data(sessions, survival_key("sessions"))
write_data(ends, survival_key("ends"))

# Three ends of observation (censored, cause, other), late entry, strata, ties, and a predictor of text.
set.seed(77)
n <- 240
x <- round(rnorm(n, 50, 8), 1)
z <- rbinom(n, 1, .4)
site <- sample(c("A", "B", "C"), n, TRUE, c(.5, .3, .2))
cause <- rexp(n, .09 * exp(-.04 * (x - 50) + .3 * z))
other <- rexp(n, .07 * exp(.02 * (x - 50)))
cut_off <- runif(n, 0, 14)
time <- ceiling(pmin(cause, other, cut_off))
status <- ifelse(cut_off < pmin(cause, other), 0, ifelse(cause < other, 1, 2))
entry <- pmax(0, pmin(time - 1, sample(c(0, 0, 0, 1, 2), n, TRUE)))
therapist <- sample(1:15, n, TRUE, (1:15) / 15)
mixed <- data.frame(id = 1:n, entry, time, status, x, z, site, therapist)
write_data(mixed, survival_key("mixed"))

write_data(transform(lung, status = status - 1)[c("inst", "time", "status", "age", "sex", "ph.ecog")], survival_key("lung"))
write_data(subset(rats, sex == "f")[c("litter", "rx", "time", "status")], survival_key("rats"))
write_data(kidney[c("id", "time", "status", "age", "sex")], survival_key("kidney"))
followed <- subset(pbc, id <= 312, select = c(id, time, status))
long <- tmerge(followed, followed, id = id, death = event(time, status))
long <- tmerge(long, pbcseq, id = id, bili = tdc(day, bili), albumin = tdc(day, albumin))
long$death <- as.integer(long$death == 2)
write_data(as.data.frame(long)[c("id", "tstart", "tstop", "death", "bili", "albumin")], survival_key("pbc"))
