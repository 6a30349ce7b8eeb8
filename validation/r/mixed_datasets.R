# Data for the mixed models: sets of lme4 and nlme (GPL), and two synthetic trials with therapists.
source("r/_write.R")
suppressPackageStartupMessages(library(lme4))
RNGversion("4.2.0")
mixed_key <- function(name) paste0("mixed_", name)
plain <- function(frame) {
  frame <- as.data.frame(frame)
  factors <- sapply(frame, is.factor)
  frame[factors] <- lapply(frame[factors], as.character)
  frame
}
write_mixed <- function(frame, name) write_data(plain(frame), mixed_key(name))

# The subset is unbalanced, 1 to 7 days of 17 subjects: balance would hide a wrong Satterthwaite or Kenward-Roger.
write_mixed(sleepstudy, "sleepstudy")
set.seed(3)
write_mixed(sleepstudy[sample(180, 70), ], "sleepstudy_70")
write_mixed(Penicillin, "penicillin")
write_mixed(Pastes[c("strength", "batch", "cask")], "pastes")
write_mixed(nlme::Orthodont, "orthodont")
write_mixed(nlme::Machines, "machines")
write_mixed(Dyestuff, "dyestuff")
write_mixed(Dyestuff2, "dyestuff2")
write_mixed(cake[c("replicate", "recipe", "temperature", "angle")], "cake")
ratings <- InstEval[c("s", "d", "service", "dept", "y")]
packed <- gzfile(sub("csv$", "csv.gz", data_path(mixed_key("insteval"))), "w", compression = 9)
write.csv(sapply(ratings, function(x) as.integer(as.character(x))), packed, row.names = FALSE, quote = FALSE)
close(packed)

# Sessions in patients in therapists: caseloads of 1 to 20, one to eight sessions at irregular times, dropout,
# missing ratings. `case` numbers the patients of one therapist and starts anew with the next. No SMT at site C.
set.seed(20231105)
caseload <- c(1, 2, 3, 5, 6, 8, 9, 11, 13, 15, 17, 20)
n <- sum(caseload)
code <- rep(seq_along(caseload), caseload)
site <- c("A", "C", "B", "A", "C", "B", "A", "B", "C", "A", "B", "A")[code]
arm <- sample(c("GE", "MCE", "SMT"), n, replace = TRUE, prob = c(.4, .33, .27))
arm[site == "C" & arm == "SMT"] <- "MCE"
patient_alliance <- rnorm(n, 50, 5) + rnorm(12, 0, 2)[code]
intercept <- rnorm(n, 0, 8)
slope <- -.25 * intercept / 8 + rnorm(n, 0, .9)
therapist_intercept <- rnorm(12, 0, 4)
therapist_within <- .03 * therapist_intercept + rnorm(12, 0, .35)
sessions_of <- function(i) {
  week <- sort(runif(8, 0, 1) + 0:7)[sort(sample(8, sample(8, 1, prob = c(1, 2, 2, 3, 4, 5, 6, 6))))]
  data.frame(patient = i, session = seq_along(week), week = week)
}
therapy <- do.call(rbind, lapply(seq_len(n), sessions_of))
i <- therapy$patient
m <- nrow(therapy)
within <- rnorm(m, 0, 4) + .4 * (therapy$week - 4)
effect <- c(GE = 0, MCE = -4, SMT = -2)[arm]
spread <- c(GE = 4, MCE = 5.5, SMT = 7.5)[arm]
outcome <- 60 + effect[i] + intercept[i] + therapist_intercept[code[i]] - .5 * (patient_alliance[i] - 50) +
  (slope[i] - 1.5) * therapy$week + (therapist_within[code[i]] - .4) * within + rnorm(m, 0, spread[i])
therapy <- data.frame(
  therapist = sprintf("T%02d", code[i]), patient = sprintf("P%03d", i), case = sequence(caseload)[i],
  site = site[i], arm = arm[i], session = therapy$session, week = round(therapy$week, 2),
  alliance = round(patient_alliance[i] + within, 2), outcome = round(outcome, 4),
  weight = round(runif(m, .5, 3), 2)
)
therapy$alliance[sample(m, 14)] <- NA
therapy$alliance_between <- round(ave(therapy$alliance, i, FUN = function(x) mean(x, na.rm = TRUE)), 4)
therapy$alliance_within <- therapy$alliance - therapy$alliance_between
therapy$outcome[sample(m, 19)] <- NA
therapy <- therapy[sample(m), ]
write_mixed(therapy, "therapy")
# Its seven smallest caseloads, where the variances of therapists vanish.
write_mixed(therapy[therapy$therapist <= "T07", ], "therapy_small")

# Partial nesting: nine therapists treat 62 patients; 46 on the waiting list have none.
set.seed(20240217)
caseload <- c(2, 3, 4, 6, 7, 8, 9, 11, 12)
treated <- rep(1:0, c(62, 46))
therapist <- c(rep(seq_along(caseload), caseload), rep(NA, 46))
baseline <- rnorm(108, 55, 12)
shift <- ifelse(treated == 1, rnorm(9, 0, 4)[therapist], 0)
level <- 20 + .6 * baseline - 6 * treated + shift + rnorm(108, 0, 6)
partial <- expand.grid(week = c(0, 3, 6, 12), patient = 1:108)
i <- partial$patient
partial$outcome <- level[i] - .3 * partial$week - .25 * partial$week * treated[i] +
  rnorm(nrow(partial), 0, ifelse(treated == 1, 6, 4)[i])
partial <- data.frame(
  therapist = ifelse(treated == 1, sprintf("T%d", therapist), NA)[i], patient = sprintf("P%03d", i),
  treated = treated[i], baseline = round(baseline[i], 2), week = partial$week, outcome = partial$outcome
)
partial <- partial[-sample(nrow(partial), 70), ]
write_mixed(partial[sample(nrow(partial)), ], "partial")
last <- partial[!duplicated(partial$patient, fromLast = TRUE), ]
write_mixed(last[sample(nrow(last)), setdiff(names(last), "week")], "partial_post")
