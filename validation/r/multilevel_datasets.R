# Sessions of patients of therapists with paths that vary (1-1-1), and patients of therapists (2-1-1, 2-2-1).
source("r/_write.R")
set.seed(2006)
therapists <- 16
patients <- 5 * therapists
sizes <- sample(4:10, patients, TRUE)
patient <- rep(seq_len(patients), sizes)
therapist <- (patient - 1) %/% 5 + 1
S <- diag(c(0.6, 0.5, 0.4, 0.35, 0.25))
R <- matrix(c(1, .2, .1, .1, 0, .2, 1, .1, .1, .1, .1, .1, 1, .6, -.2, .1, .1, .6, 1, .1, 0, .1, -.2, .1, 1), 5)
u <- matrix(rnorm(patients * 5), patients) %*% chol(S %*% R %*% S)
v <- matrix(rnorm(therapists * 2), therapists) %*% chol(matrix(c(0.12, 0.05, 0.05, 0.1), 2))
n <- length(patient)
practice <- rnorm(n) + rnorm(patients, 0, 0.6)[patient]
age <- rnorm(patients)[patient]
alliance <- 0.2 + u[patient, 1] + v[therapist, 1] + (0.5 + u[patient, 3]) * practice + 0.1 * age + rnorm(n, 0, 0.8)
relief <- u[patient, 2] + v[therapist, 2] + (0.4 + u[patient, 4]) * alliance + (0.2 + u[patient, 5]) * practice + rnorm(n)
write_data(data.frame(therapist, patient, practice, age, alliance, relief), "multilevel_111")

set.seed(77)
groups <- 60
sizes <- sample(4:14, groups, TRUE)
n <- sum(sizes)
therapist <- rep(seq_len(groups), sizes)
arm <- rep(rbinom(groups, 1, .5), sizes)
um <- rnorm(groups, 0, .5)
uy <- rnorm(groups, 0, .5)
level <- .5 * arm + um[therapist]
alliance <- level + rnorm(n, 0, .8)
outcome <- -.4 * level - .25 * (alliance - level) - .2 * arm + uy[therapist] + rnorm(n, 0, 1)
own <- .4 * tapply(arm, therapist, mean) + rnorm(groups, 0, .6)
later <- -.5 * own[therapist] - .2 * arm + uy[therapist] + rnorm(n)
write_data(data.frame(therapist, arm, alliance, outcome, fidelity = as.numeric(own[therapist]), later), "multilevel_211")
