# Baseline tables and correlations: summaries by arm, standardised differences written out after Austin (2009), Pearson
# correlations with cor.test, and within- and between-patient correlations with psych::statsBy and the residuals of lm.
source("r/_write.R")

trial <- read.csv(data_path("trial_missing"))
sessions <- read.csv(data_path("mixed_therapy"))

of_numbers <- function(x) {
  k <- x[!is.na(x)]
  list(n = length(k), missing = sum(is.na(x)), mean = mean(k), sd = sd(k), median = median(k),
       q1 = quantile(k, .25, names = FALSE), q3 = quantile(k, .75, names = FALSE))
}
smd_interval <- function(d, n1, n2) {
  s <- sqrt((n1 + n2) / (n1 * n2) + d^2 / (2 * (n1 + n2)))
  list(difference = d, conf_low = d - qnorm(.975) * s, conf_high = d + qnorm(.975) * s)
}
smd_numbers <- function(a, b) {
  a <- a[!is.na(a)]; b <- b[!is.na(b)]
  smd_interval((mean(a) - mean(b)) / sqrt((var(a) + var(b)) / 2), length(a), length(b))
}
smd_level <- function(a, b, level) {
  a <- a[!is.na(a)]; b <- b[!is.na(b)]
  p <- mean(a == level); q <- mean(b == level)
  smd_interval((p - q) / sqrt((p * (1 - p) + q * (1 - q)) / 2), length(a), length(b))
}

arms <- sort(unique(trial$arm))
pairs <- combn(arms, 2, simplify = FALSE)
names(pairs) <- sapply(pairs, paste, collapse = "|")
baseline <- list(
  summaries = sapply(arms, function(a) sapply(c("alliance", "baseline"), function(v) of_numbers(trial[which(trial$arm == a), v]),
                                              simplify = FALSE), simplify = FALSE),
  shares = sapply(arms, function(a) as.list(prop.table(table(trial$sex[which(trial$arm == a)]))), simplify = FALSE),
  differences = lapply(pairs, function(p) {
    one <- trial[which(trial$arm == p[1]), ]; two <- trial[which(trial$arm == p[2]), ]
    list(alliance = smd_numbers(one$alliance, two$alliance), baseline = smd_numbers(one$baseline, two$baseline),
         female = smd_level(one$sex, two$sex, "female"))
  })
)

total <- function(a, b) {
  t <- cor.test(trial[[a]], trial[[b]])
  list(r = unname(t$estimate), n = unname(t$parameter) + 2, conf_low = t$conf.int[1], conf_high = t$conf.int[2])
}
known <- na.omit(sessions[c("patient", "alliance", "outcome", "week")])
by <- psych::statsBy(known, "patient", cors = FALSE)
nested <- function(a, b) {
  # sizes weigh the patients' means, as in Bland and Altman (1995)
  means <- aggregate(known[c(a, b)], known["patient"], mean)
  weights <- as.vector(table(known$patient)[as.character(means$patient)])
  between <- cov.wt(means[c(a, b)], weights / sum(weights), cor = TRUE)$cor[1, 2]
  dev_a <- resid(lm(known[[a]] ~ factor(known$patient))); dev_b <- resid(lm(known[[b]] ~ factor(known$patient)))
  within <- cor(dev_a, dev_b)
  stopifnot(abs(within - by$rwg[paste0(a, ".wg"), paste0(b, ".wg")]) < 1e-10)
  stopifnot(abs(between - by$rbg[paste0(a, ".bg"), paste0(b, ".bg")]) < 1e-10)
  df <- nrow(known) - length(unique(known$patient)) - 1
  half <- qnorm(.975) / sqrt(df - 1)
  list(within = within, between = between, n = nrow(known), patients = length(unique(known$patient)),
       within_low = tanh(atanh(within) - half), within_high = tanh(atanh(within) + half))
}
spread <- function(v) {
  fit <- lm(known[[v]] ~ factor(known$patient))
  list(mean = mean(known[[v]]), sd = sd(known[[v]]), sd_within = summary(fit)$sigma, sd_between = sd(tapply(known[[v]], known$patient, mean)))
}
correlation <- list(
  total = list("alliance|baseline" = total("alliance", "baseline"), "alliance|outcome" = total("alliance", "outcome"),
               "baseline|outcome" = total("baseline", "outcome")),
  nested = list("alliance|outcome" = nested("alliance", "outcome"), "alliance|week" = nested("alliance", "week"),
                "outcome|week" = nested("outcome", "week")),
  spreads = sapply(c("alliance", "outcome", "week"), spread, simplify = FALSE)
)
write_golden("tables", c("stats", "psych"), list(trial = data_path("trial_missing"), sessions = data_path("mixed_therapy")),
             list(baseline = baseline, correlation = correlation))
