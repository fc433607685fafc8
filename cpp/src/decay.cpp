#include "na64root/decay.hpp"

#include <algorithm>

#include "na64root/widths.hpp"

namespace na64root {
namespace {

constexpr std::size_t cells = 512;
constexpr std::size_t quantile_count = 256;

FourVector isotropic(double momentum, double energy, Random &random) {
    const double cosine = random.uniform(-1.0, 1.0), phi = random.uniform(0.0, 2.0 * units::pi);
    const double transverse = momentum * std::sqrt((1.0 - cosine) * (1.0 + cosine));
    return {energy, transverse * std::cos(phi), transverse * std::sin(phi), momentum * cosine};
}

FourVector opposite(const FourVector &v, double energy) {
    return {energy, -v.x, -v.y, -v.z};
}

// Two unit vectors at right angles to the unit vector (x, y, z): a frame for an angle around it.
struct Axes {
    double ax, ay, az, bx, by, bz;
};
Axes transverse_axes(double x, double y, double z) {
    // Duff et al., JCGT 6 (2017): no branch on the direction but the sign of z.
    const double sign = std::copysign(1.0, z), a = -1.0 / (sign + z), b = x * y * a;
    return {1.0 + sign * x * x * a, sign * b, -sign * x, b, sign + y * y * a, -y};
}

// The root in [-1, 1] of a c + b (c - beta2 c^3/3) = target, monotonic there: Newton, kept inside by
// bisection.
double invert_angle(double a, double b, double beta2, double target) {
    double low = -1.0, high = 1.0;
    double c = std::clamp(target / (a + b * (1.0 - beta2 / 3.0)), -1.0, 1.0);
    for (int i = 0; i < 60; ++i) {
        const double value = a * c + b * (c - beta2 * c * c * c / 3.0) - target;
        (value > 0.0 ? high : low) = c;
        const double slope = a + b * (1.0 - beta2 * c * c);
        double next = slope > 0.0 ? c - value / slope : 0.5 * (low + high);
        if (!(next > low) || !(next < high))
            next = 0.5 * (low + high);
        if (std::abs(next - c) < 1e-13)
            return next;
        c = next;
    }
    return c;
}

} // namespace

double two_body_momentum(double mass, double mass1, double mass2) {
    const double sum = mass1 + mass2, difference = mass1 - mass2;
    if (!(mass > sum))
        return 0.0;
    return std::sqrt((mass - sum) * (mass + sum) * (mass - difference) * (mass + difference)) / (2.0 * mass);
}

AprimeDecay decay_aprime(const InelasticModel &model, const FourVector &aprime, Random &random) {
    const double m1 = model.chi1_mass(), m2 = model.chi2_mass();
    const double momentum = two_body_momentum(model.mass, m1, m2);
    if (!(momentum > 0.0))
        throw std::domain_error("A' -> chi1 chi2 is closed");
    const FourVector chi2 = isotropic(momentum, std::hypot(momentum, m2), random);
    const FourVector chi1 = opposite(chi2, std::hypot(momentum, m1));
    return {boosted(chi1, aprime, model.mass), boosted(chi2, aprime, model.mass)};
}

Chi2Decayer::Chi2Decayer(const InelasticModel &model, DecayModel decay, double lepton_mass)
    : model_(model), decay_(decay), lepton_mass_(lepton_mass), chi1_mass_(model.chi1_mass()),
      chi2_mass_(model.chi2_mass()), splitting_(model.splitting()), eta_density_(cells + 1),
      cumulative_(cells + 1), guide_(cells + 1), quantiles_(quantile_count) {
    model.validate();
    if (!(splitting_ > 2.0 * lepton_mass))
        throw std::domain_error("chi2 -> chi1 l l is closed: Delta is not above 2 m_l");
    model_.epsilon = 1.0; // the shape does not depend on it
    step_ = std::acosh(splitting_ / (2.0 * lepton_mass)) / cells;
    for (std::size_t i = 1; i < cells; ++i) {
        const double q = 2.0 * lepton_mass * std::cosh(step_ * i);
        eta_density_[i] = unnormalised_density(q * q) * 4.0 * q * lepton_mass * std::sinh(step_ * i);
    }
    for (std::size_t i = 0; i < cells; ++i)
        cumulative_[i + 1] = cumulative_[i] + 0.5 * step_ * (eta_density_[i] + eta_density_[i + 1]);
    const double norm = cumulative_.back();
    for (auto &value : eta_density_)
        value /= norm;
    for (auto &value : cumulative_)
        value /= norm;
    for (std::size_t i = 0, cell = 0; i <= cells; ++i) {
        while (cell + 1 < cells && cumulative_[cell + 1] < static_cast<double>(i) / cells)
            ++cell;
        guide_[i] = cell;
    }
    for (std::size_t i = 0; i < quantile_count; ++i)
        quantiles_[i] = q2_at((static_cast<double>(i) + 0.5) / quantile_count);
}

double Chi2Decayer::unnormalised_density(double q2) const {
    if (decay_ == DecayModel::matrix_element)
        return chi2_width_density(model_, lepton_mass_, q2);
    const double threshold = 4.0 * lepton_mass_ * lepton_mass_;
    if (!(q2 > threshold) || !(q2 < splitting_ * splitting_))
        return 0.0;
    return two_body_momentum(chi2_mass_, chi1_mass_, std::sqrt(q2)) * std::sqrt(1.0 - threshold / q2);
}

double Chi2Decayer::density(double q2) const {
    const double q_min = 2.0 * lepton_mass_;
    if (!(q2 > q_min * q_min) || !(q2 < splitting_ * splitting_))
        return 0.0;
    const double q = std::sqrt(q2), eta = std::acosh(q / q_min), position = eta / step_;
    const auto cell = std::min<std::size_t>(static_cast<std::size_t>(position), cells - 1);
    const double fraction = position - static_cast<double>(cell);
    const double eta_density = eta_density_[cell] * (1.0 - fraction) + eta_density_[cell + 1] * fraction;
    return eta_density / (2.0 * q * q_min * std::sinh(eta));
}

double Chi2Decayer::q2_at(double cumulative) const {
    std::size_t cell = guide_[static_cast<std::size_t>(cumulative * cells)];
    while (cell + 1 < cells && cumulative_[cell + 1] < cumulative)
        ++cell;
    // Linear density in the cell: the cumulative is quadratic; this root is stable for either sign of the
    // slope.
    const double rest = std::max(0.0, cumulative - cumulative_[cell]);
    const double start = eta_density_[cell], slope = (eta_density_[cell + 1] - start) / step_;
    const double root = std::sqrt(std::max(0.0, start * start + 2.0 * slope * rest));
    const double along = start + root > 0.0 ? 2.0 * rest / (start + root) : 0.0;
    const double q =
        2.0 * lepton_mass_ * std::cosh(step_ * static_cast<double>(cell) + std::min(along, step_));
    return std::min(q * q, splitting_ * splitting_);
}

double Chi2Decayer::sample_q2(Random &random) const {
    return q2_at(random.uniform());
}

double Chi2Decayer::pair_energy(double q2) const {
    return (splitting_ * (chi1_mass_ + chi2_mass_) + q2) / (2.0 * chi2_mass_);
}

double Chi2Decayer::mean_q2() const {
    double sum = 0.0;
    for (const double q2 : quantiles_)
        sum += q2;
    return sum / quantile_count;
}

double Chi2Decayer::mean_pair_energy() const {
    return pair_energy(mean_q2());
} // linear in q2

double Chi2Decayer::fraction_above(double threshold, double chi2_energy) const {
    const double gamma = chi2_energy / chi2_mass_;
    if (!(gamma >= 1.0))
        throw std::domain_error("a chi2 has at least the energy of its mass");
    const double gamma_beta = std::sqrt((gamma - 1.0) * (gamma + 1.0));
    double sum = 0.0;
    for (const double q2 : quantiles_) {
        // Flat between the forward and the backward pair.
        const double momentum = two_body_momentum(chi2_mass_, chi1_mass_, std::sqrt(q2));
        const double middle = gamma * pair_energy(q2), spread = gamma_beta * momentum;
        sum += spread > 0.0 ? std::clamp((middle + spread - threshold) / (2.0 * spread), 0.0, 1.0)
                            : (middle > threshold ? 1.0 : 0.0);
    }
    return sum / quantile_count;
}

Chi2Decay Chi2Decayer::operator()(const FourVector &chi2, Random &random) const {
    const double q2 = sample_q2(random), q = std::sqrt(q2);
    const double momentum = two_body_momentum(chi2_mass_, chi1_mass_, q);
    const FourVector pair = isotropic(momentum, pair_energy(q2), random);
    const FourVector chi1 = opposite(pair, std::hypot(momentum, chi1_mass_));

    // Lepton angle against the pair's direction, in the pair's frame: flat, or a + b (1 - beta^2 c^2) with
    // a = D (3 - beta^2)/2, b = P^2, D = (Delta^2 - q^2)/2, P = chi momentum there (contraction of the
    // currents).
    const double beta2 = std::max(0.0, 1.0 - 4.0 * lepton_mass_ * lepton_mass_ / q2);
    double cosine = random.uniform(-1.0, 1.0);
    if (decay_ == DecayModel::matrix_element) {
        const double d = 0.5 * (splitting_ - q) * (splitting_ + q);
        const double chi_momentum = momentum * chi2_mass_ / q;
        const double a = 0.5 * d * (3.0 - beta2), b = chi_momentum * chi_momentum;
        if (a + b > 0.0)
            cosine = invert_angle(a, b, beta2, cosine * (a + b * (1.0 - beta2 / 3.0)));
    }
    const double phi = random.uniform(0.0, 2.0 * units::pi);
    const double lepton_momentum = 0.5 * q * std::sqrt(beta2);
    const double transverse = lepton_momentum * std::sqrt((1.0 - cosine) * (1.0 + cosine));
    const double along = lepton_momentum * cosine;
    const double tc = transverse * std::cos(phi), ts = transverse * std::sin(phi);
    const double inverse = momentum > 0.0 ? 1.0 / momentum : 0.0;
    const double nx = pair.x * inverse, ny = pair.y * inverse, nz = momentum > 0.0 ? pair.z * inverse : 1.0;
    const Axes axes = transverse_axes(nx, ny, nz);
    const FourVector lepton_minus{0.5 * q, along * nx + tc * axes.ax + ts * axes.bx,
                                  along * ny + tc * axes.ay + ts * axes.by,
                                  along * nz + tc * axes.az + ts * axes.bz};
    const FourVector lepton_plus = opposite(lepton_minus, 0.5 * q);
    return {boosted(chi1, chi2, chi2_mass_), boosted(boosted(lepton_minus, pair, q), chi2, chi2_mass_),
            boosted(boosted(lepton_plus, pair, q), chi2, chi2_mass_)};
}

} // namespace na64root
