# Natural effects by integrate() and sums in plain R, regressions by lm, glm and MASS::polr; psych::mediate for
# the published examples; robust standard errors of a product with all equations stacked.
source("r/_write.R")
suppressPackageStartupMessages({library(psych); library(MASS); library(clubSandwich)})
d <- read.csv(data_path("mediation_trial"))
tight <- glm.control(epsilon = 1e-15, maxit = 100)
# glm stops once the deviance stands still, which leaves coefficients half the digits: a few more rounds of scoring
polished <- function(fit) {
  X <- model.matrix(fit)
  for (round in 1:20) {
    eta <- drop(X %*% fit$coefficients); mu <- fit$family$linkinv(eta); slope <- fit$family$mu.eta(eta)
    w <- slope^2 / fit$family$variance(mu)
    fit$coefficients <- fit$coefficients + drop(solve(crossprod(X * w, X), crossprod(X, w * (fit$y - mu) / slope)))
  }
  fit
}
set_to <- function(frame, ...) { for (k in names(list(...))) frame[[k]] <- list(...)[[k]]; frame }

# Mean outcome under exposure x and mediator of exposure x2; mediator normal, its density integrated row by row.
normal_mean <- function(m, y, mediator, inverse, x, x2) {
  mu <- predict(m, set_to(d, arm = x2))
  sd <- summary(m)$sigma
  frame <- set_to(d, arm = x)
  eta0 <- predict(y, do.call(set_to, c(list(frame), setNames(list(0), mediator))), type = "link")
  slope <- predict(y, do.call(set_to, c(list(frame), setNames(list(1), mediator))), type = "link") - eta0
  mean(mapply(function(mu, e, b) {
    integrate(function(u) inverse(e + b * (mu + sd * u)) * dnorm(u), -Inf, Inf, rel.tol = 1e-12, abs.tol = 0,
              subdivisions = 2000)$value
  }, mu, eta0, slope))
}
natural <- function(mean_of) {
  R <- outer(0:1, 0:1, Vectorize(function(x, x2) mean_of(x, x2)))
  list(pnde = R[2, 1] - R[1, 1], tnie = R[2, 2] - R[2, 1], pnie = R[1, 2] - R[1, 1], tnde = R[2, 2] - R[1, 2],
       total = R[2, 2] - R[1, 1])
}
m <- lm(alliance ~ arm + severity, d)
logit <- polished(glm(responder ~ arm * alliance + severity, binomial, d, control = tight))
probit <- polished(glm(responder ~ arm * alliance + severity, binomial("probit"), d, control = tight))
counts <- polished(glm(visits ~ arm + alliance, poisson, d, control = tight))
exact <- list(
  logit = natural(function(x, x2) normal_mean(m, logit, "alliance", plogis, x, x2)),
  probit = natural(function(x, x2) normal_mean(m, probit, "alliance", pnorm, x, x2)),
  poisson = natural(function(x, x2) normal_mean(m, counts, "alliance", exp, x, x2))
)

# Two mediators in a row: alliance (normal), then bonded (binary, depends on alliance), outcome logit
mb <- polished(glm(bonded ~ arm + alliance + severity, binomial, d, control = tight))
y2 <- polished(glm(responder ~ arm * bonded + alliance + severity, binomial, d, control = tight))
serial_mean <- function(x, x2) {
  mu <- predict(m, set_to(d, arm = x2))
  sd <- summary(m)$sigma
  B <- coef(mb); C <- coef(y2)
  mean(sapply(seq_len(nrow(d)), function(i) {
    integrate(function(u) {
      a <- mu[i] + sd * u
      p <- plogis(B[["(Intercept)"]] + B[["arm"]] * x2 + B[["alliance"]] * a + B[["severity"]] * d$severity[i])
      base <- C[["(Intercept)"]] + C[["arm"]] * x + C[["alliance"]] * a + C[["severity"]] * d$severity[i]
      with_b <- base + C[["bonded"]] + C[["arm:bonded"]] * x
      (p * plogis(with_b) + (1 - p) * plogis(base)) * dnorm(u)
    }, -Inf, Inf, rel.tol = 1e-12, abs.tol = 0, subdivisions = 2000)$value
  }))
}
exact$serial <- natural(serial_mean)

# Mediator binary, count, ordered; outcome normal or ordered
mk <- polished(glm(visits ~ arm + severity, poisson, d, control = tight))
yk <- polished(glm(responder ~ arm + visits, binomial, d, control = tight))
exact$count_mediator <- natural(function(x, x2) {
  mu <- exp(predict(mk, set_to(d, arm = x2)))
  mean(sapply(0:150, function(k) {
    dpois(k, mu) * plogis(predict(yk, set_to(d, arm = x, visits = k), type = "link"))
  }) |> rowSums())
})
polr_tight <- function(formula, data, method) {
  polr(formula, data, method = method, Hess = TRUE, control = list(reltol = 1e-16, maxit = 5000))
}
d$ostars <- factor(d$stars)
d$omood <- factor(d$mood)
ms <- polr_tight(ostars ~ arm + severity, d, "logistic")
ys <- lm(pain ~ arm * stars + severity, d)
exact$ordered_mediator <- natural(function(x, x2) {
  p <- predict(ms, set_to(d, arm = x2), type = "probs")
  mean(rowSums(sapply(1:4, function(k) p[, k] * predict(ys, set_to(d, arm = x, stars = k)))))
})
mt <- lm(trust ~ arm + severity, d)
yo <- polr_tight(omood ~ arm + trust + severity, d, "probit")
exact$ordered_outcome <- natural(function(x, x2) {
  mu <- predict(mt, set_to(d, arm = x2))
  sd <- summary(mt)$sigma
  b <- coef(yo)
  eta <- b[["arm"]] * x + b[["severity"]] * d$severity + b[["trust"]] * mu
  wide <- sqrt(1 + (b[["trust"]] * sd)^2)
  mean(4 - rowSums(sapply(yo$zeta, function(t) pnorm((t - eta) / wide))))
})
exact$ordered_fit <- list(log_likelihood = as.numeric(logLik(yo)), coefficients = named(coef(yo)),
                          thresholds = named(yo$zeta),
                          std_errors = named(sqrt(diag(vcov(yo)))))

# Delta standard errors of the probit effects: block-diagonal covariance, log residual variance with variance 2/df
probit_effects <- function(p) {
  bm <- p[1:3]; s2 <- exp(p[4]); by <- p[5:9]
  mu <- function(x) bm[1] + bm[2] * x + bm[3] * d$severity
  R <- function(x, x2) {
    slope <- by[3] + by[5] * x
    mean(pnorm((by[1] + by[2] * x + by[4] * d$severity + slope * mu(x2)) / sqrt(1 + slope^2 * s2)))
  }
  c(pnde = R(1, 0) - R(0, 0), tnie = R(1, 1) - R(1, 0), total = R(1, 1) - R(0, 0),
    proportion_mediated = (R(1, 1) - R(1, 0)) / (R(1, 1) - R(0, 0)))
}
gradient <- function(f, p, h = 1e-4) {
  sapply(seq_along(p), function(j) {
    e <- replace(numeric(length(p)), j, h)
    (8 * (f(p + e) - f(p - e)) - (f(p + 2 * e) - f(p - 2 * e))) / (12 * h)
  })
}
block <- function(...) {
  parts <- list(...)
  size <- sum(sapply(parts, NROW)); V <- matrix(0, size, size); at <- 0
  for (part in parts) { i <- at + seq_len(NROW(part)); V[i, i] <- part; at <- at + NROW(part) }
  V
}
# glm keeps the weights of the round before: recomputed at the coefficients
at_optimum <- function(fit) {
  X <- model.matrix(fit); eta <- drop(X %*% coef(fit)); mu <- fit$family$linkinv(eta)
  solve(crossprod(X * (fit$family$mu.eta(eta)^2 / fit$family$variance(mu)), X))
}
phi <- c(coef(m), log(summary(m)$sigma^2), coef(probit))
V <- block(vcov(m), matrix(2 / m$df.residual), at_optimum(probit))
J <- gradient(probit_effects, phi)
delta <- list(probit = list(estimate = named(probit_effects(phi)), std_error = named(sqrt(diag(J %*% V %*% t(J))))))

# Excess relative risk of the controlled direct effect, rare outcome, at the mean of severity, alliance held at 4.5
excess <- function(p) {
  bm <- p[1:3]; s2 <- exp(p[4]); by <- p[5:9]; c0 <- mean(d$severity)
  low <- (bm[1] + bm[3] * c0) * by[3] + by[3]^2 * s2 / 2
  exp(by[2] + 4.5 * (by[3] + by[5]) - low) - exp(4.5 * by[3] - low)
}
phi <- c(coef(m), log(summary(m)$sigma^2), coef(logit))
V <- block(vcov(m), matrix(2 / m$df.residual), at_optimum(logit))
J <- gradient(excess, phi)
delta$excess_cde <- list(estimate = excess(phi), std_error = sqrt(drop(J %*% V %*% J)))

# Product a·b with both equations stacked: HC0, HC3, CR1 and CR2 by hand and by clubSandwich
y <- lm(pain ~ arm + alliance + severity, d)
influence_of <- function(fit, e = residuals(fit)) (model.matrix(fit) * e) %*% summary(fit)$cov.unscaled
product_se <- function(U) {
  g <- c(0, coef(y)[["alliance"]], 0, 0, 0, coef(m)[["arm"]], 0)
  sqrt(drop(g %*% crossprod(U) %*% g))
}
rows0 <- cbind(influence_of(m), influence_of(y))
rows3 <- cbind(influence_of(m, residuals(m) / (1 - hatvalues(m))), influence_of(y, residuals(y) / (1 - hatvalues(y))))
G <- length(unique(d$therapist))
robust <- list(HC0 = product_se(rows0), HC3 = product_se(rows3),
               CR1 = product_se(rowsum(rows0, d$therapist) * sqrt(G / (G - 1))))
cr2 <- function(fit) {
  V <- vcovCR(fit, cluster = d$therapist, type = "CR2")
  t <- coef_test(fit, vcov = V, test = "Satterthwaite")
  list(terms = rownames(V), std_error = unname(sqrt(diag(V))), df = t$df_Satt)
}
robust$CR2 <- list(alliance = cr2(m), pain = cr2(y))
# CR2 stacked: A_g = (I - H_gg)^(-1/2) by eigenvectors
half <- function(fit) {
  X <- model.matrix(fit); M <- summary(fit)$cov.unscaled
  t(sapply(split(seq_len(nrow(d)), d$therapist), function(i) {
    e <- eigen(diag(length(i)) - X[i, ] %*% M %*% t(X[i, ]), symmetric = TRUE)
    A <- e$vectors %*% (t(e$vectors) / sqrt(e$values))
    drop(t(X[i, ]) %*% A %*% residuals(fit)[i]) %*% M
  }))
}
robust$CR2$product <- product_se(cbind(half(m), half(y)))

# Limits corrected for bias and acceleration, from draws given in full
set.seed(5)
x <- round(rexp(30), 4)
draws <- round(replicate(199, mean(sample(x, replace = TRUE))), 6)
jack <- sapply(seq_along(x), function(i) mean(x[-i]))
l <- mean(jack) - jack
a <- sum(l^3) / (6 * sum(l^2)^1.5)
z0 <- qnorm(mean(draws < mean(x)) + mean(draws == mean(x)) / 2)
zz <- z0 + qnorm(c(0.05, 0.95))
bca <- list(x = x, draws = draws, a = a, z0 = z0,
            limits = unname(quantile(draws, pnorm(z0 + zz / (1 - a * zz)), type = 7)))

talor <- read.csv(data_path("mediation_talor"))
garcia <- read.csv(data_path("mediation_garcia"))
set.seed(42)
one <- mediate(reaction ~ cond + (pmi), data = talor, n.iter = 5000, plot = FALSE)
two <- mediate(reaction ~ cond + (importance) + (pmi), data = talor, n.iter = 5000, plot = FALSE)
set.seed(1)
moderated <- mediate(liking ~ prot2 * sexism + (respappr), data = garcia, n.iter = 5000, plot = FALSE, zero = TRUE)
show <- function(f) {
  list(a = matrix_of(f$a.reg$beta), a_se = matrix_of(f$a.reg$se), b = matrix_of(f$cprime.reg$beta),
       b_se = matrix_of(f$cprime.reg$se), total = matrix_of(f$total.reg$beta), total_se = matrix_of(f$total.reg$se),
       ab = matrix_of(as.matrix(f$ab)), boot_sd = matrix_of(as.matrix(f$boot$sd)))
}
write_golden("mediation_exact", c("psych", "MASS", "clubSandwich"),
             list(trial = data_path("mediation_trial"), talor = data_path("mediation_talor"),
                  garcia = data_path("mediation_garcia")),
             list(exact = exact, delta = delta, robust = robust, bca = bca,
                  psych = list(single = show(one), parallel = show(two), garcia = show(moderated))))
