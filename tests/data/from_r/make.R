# Writes trial.sav and trial.dta with haven and reads them back with foreign, whose parser shares no code with the
# one under test; what foreign finds is pinned in expected.json. Run from this folder: Rscript make.R
library(haven)
patient <- c("P1", "P2 ", "007", "P4", "")
arm <- c(1, 2, 9, 1, NA)
pain <- c(0.5, -9, -8, 10, NA)
visit <- as.Date(c("2021-03-01", "1959-12-31", NA, "2100-02-28", "2000-02-29"))
sav <- data.frame(patient = patient)
sav$arm <- labelled_spss(arm, c("usual care" = 1, "enhanced" = 2, "not randomised" = 9), na_values = 9, label = "Behandlung (größer)")
sav$pain <- labelled_spss(pain, c("none" = 0, "refused" = -9), na_range = c(-9, -8), label = "pain")
sav$visit <- visit
write_sav(sav, "trial.sav", compress = "byte")
dta <- data.frame(patient = patient)
dta$arm <- labelled(c(1, 2, tagged_na("r"), 1, NA), c("usual care" = 1, "enhanced" = 2, "refused" = tagged_na("r")), label = "arm")
dta$visit <- visit
write_dta(dta, "trial.dta", version = 12)
spss <- suppressWarnings(foreign::read.spss("trial.sav", use.value.labels = FALSE, use.missings = TRUE, reencode = "UTF-8"))
raw <- suppressWarnings(foreign::read.spss("trial.sav", use.value.labels = FALSE, use.missings = FALSE, reencode = "UTF-8"))
stata <- foreign::read.dta("trial.dta", convert.factors = FALSE, missing.type = TRUE)
letter <- attr(stata, "missing")$arm
expected <- list(
  versions = list(R = R.version.string, haven = as.character(packageVersion("haven")), foreign = as.character(packageVersion("foreign"))),
  spss = list(
    patient = trimws(spss$patient), arm = c(spss$arm), arm_raw = c(raw$arm), pain = c(spss$pain), pain_raw = c(raw$pain),
    visit_seconds = c(spss$visit), arm_labels = as.list(attr(raw, "label.table")$arm), arm_label = unname(attr(raw, "variable.labels")["arm"])
  ),
  stata = list(
    patient = stata$patient, arm = c(stata$arm), arm_missing = ifelse(is.na(letter) | letter == 0, ".", paste0(".", letters[letter])),
    visit = format(stata$visit)
  )
)
jsonlite::write_json(expected, "expected.json", digits = NA, auto_unbox = TRUE, na = "null", pretty = TRUE)
