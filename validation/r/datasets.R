# The synthetic data of this folder, all unbalanced, and the data sets of base R (GPL) used beside them.
source("r/_write.R")
RNGversion("4.2.0")

# A three-arm trial: 11 therapists with 1 to 30 patients, and an alliance scale with a fifth of patients at
# its maximum.
set.seed(20130470)
size <- c(1, 2, 4, 6, 8, 10, 13, 17, 22, 27, 30)
n <- sum(size)
code <- rep(seq_along(size), size)
therapist <- sprintf("T%02d", code)
arm <- sample(c("GE", "MCE", "SMT"), n, replace = TRUE, prob = c(.45, .33, .22))
sex <- sample(c("female", "male"), n, replace = TRUE, prob = c(.64, .36))
alliance <- pmin(60, rnorm(n, 53, 8) + rnorm(11, 0, 2)[code])
baseline <- pmin(95, pmax(8, rnorm(n, 55, 16)))
slope <- c(GE = .10, MCE = .65, SMT = .30)[arm]
effect <- c(GE = 0, MCE = 7, SMT = 4)[arm] + 3 * (sex == "male") * (arm == "SMT")
outcome <- 8 + effect + slope * (alliance - 52) - .25 * baseline + .02 * (alliance - 52) * (baseline - 55) +
  rnorm(11, 0, 2.5)[code] + rnorm(n, 0, 5 + .08 * baseline)
trial <- data.frame(patient = seq_len(n), therapist, arm, sex, alliance, baseline, outcome)
trial <- trial[sample(n), ]
write_data(trial, "trial")

# Missing values in four columns; two patients miss two of them.
missing <- trial
gap <- sample(n, 19)
missing$outcome[gap[1:8]] <- NA
missing$alliance[gap[7:13]] <- NA
missing$baseline[gap[14:17]] <- NA
missing$arm[gap[18:19]] <- NA
write_data(missing, "trial_missing")

# Two by two: real or sham treatment, enhanced or limited alliance.
cells <- data.frame(treatment = c("active", "sham", "active", "sham"),
                    alliance = c("limited", "limited", "enhanced", "enhanced"),
                    n = c(30, 26, 21, 29), mean = c(18, 10, 31, 22), sd = c(8, 7, 10, 9))
factorial <- cells[rep(1:4, cells$n), ]
factorial$change <- rnorm(nrow(factorial), factorial$mean, factorial$sd)
write_data(factorial[sample(nrow(factorial)), c("treatment", "alliance", "change")], "factorial")

write.csv(datasets::attitude, data_path("attitude"), row.names = FALSE, quote = FALSE)
write.csv(datasets::swiss, data_path("swiss"), row.names = FALSE, quote = FALSE)
