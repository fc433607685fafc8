#include "na64root/decay.hpp"

#include <algorithm>

#include "na64root/widths.hpp"

namespace na64root {
namespace {

constexpr std::size_t cells = 512;
constexpr std::size_t guides = 8 * cells; // so many that the next cell is nearly always the right one
constexpr std::size_t quantile_count = 256;

// Cosine and sine of 2 pi u, u in [0, 1]. In an eighth of the circle the Taylor series to the 15th order is
// good to 1e-16; faster than the library's, which must reduce any argument.
struct Circle {
    double cosine, sine;
};
Circle circle(double u) {
    static constexpr double sine_terms[] = {1.0 / 6.0,   1.0 / 20.0,  1.0 / 42.0, 1.0 / 72.0,
                                            1.0 / 110.0, 1.0 / 156.0, 1.0 / 210.0};
    static constexpr double cosine_terms[] = {1.0 / 2.0,  1.0 / 12.0,  1.0 / 30.0,  1.0 / 56.0,
                                              1.0 / 90.0, 1.0 / 132.0, 1.0 / 182.0, 1.0 / 240.0};
    const double quarters = 4.0 * u;
    const auto quarter = static_cast<int>(quarters + 0.5);
    const double a = 0.5 * units::pi * (quarters - static_cast<double>(quarter)), b = a * a;
    double values[2] = {1.0, 1.0}; // cosine and sine
    for (int i = 7; i >= 0; --i)
        values[0] = 1.0 - cosine_terms[i] * b * values[0];
    for (int i = 6; i >= 0; --i)
        values[1] = 1.0 - sine_terms[i] * b * values[1];
    values[1] *= a;
    // Turned by quarters, without branches: cos -> -sin, sin -> cos.
    const int odd = quarter & 1;
    const double signs[2] = {(quarter + 1) & 2 ? -1.0 : 1.0, quarter & 2 ? -1.0 : 1.0};
    return {signs[0] * values[odd], signs[1] * values[1 - odd]};
}

FourVector times(const FourVector &direction, double momentum, double energy) {
    return {energy, momentum * direction.x, momentum * direction.y, momentum * direction.z};
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

// The root in [-1, 1] of a c + b (c - beta2 c^3/3) = u (a + b (1 - beta2/3)), monotonic there for a, b >= 0
// and beta2 <= 1. With c = 2 r sin(phi), r^2 = (a + b)/(b beta2), the cubic is sin(3 phi) (Viete).
double invert_angle(double a, double b, double beta2, double u) {
    const double cubic = b * beta2, linear = a + b;
    if (!(cubic > 1e-9 * linear)) // flat to the last digits that matter
        return u;
    const double ratio = linear / cubic, r = std::sqrt(ratio);
    const double triple = std::clamp(0.5 * u * (3.0 * ratio - 1.0) / (ratio * r), -1.0, 1.0);
    return std::clamp(2.0 * r * std::sin(std::asin(triple) / 3.0), -1.0, 1.0);
}

} // namespace

double two_body_momentum(double mass, double mass1, double mass2) {
    const double sum = mass1 + mass2, difference = mass1 - mass2;
    if (!(mass > sum))
        return 0.0;
    return std::sqrt((mass - sum) * (mass + sum) * (mass - difference) * (mass + difference)) / (2.0 * mass);
}

FourVector unit_vector(double cosine, double u) {
    const double sine = std::sqrt((1.0 - cosine) * (1.0 + cosine));
    const Circle phi = circle(u);
    return {0.0, sine * phi.cosine, sine * phi.sine, cosine};
}

TwoBodyDecay two_body_decay(const FourVector &parent, double mass, double mass1, double mass2,
                            const FourVector &direction) {
    const double momentum = two_body_momentum(mass, mass1, mass2);
    if (!(momentum > 0.0))
        throw std::domain_error("a two-body decay is closed: the parent is not heavier than its daughters");
    const FourVector first = times(direction, momentum, std::sqrt(momentum * momentum + mass1 * mass1));
    const FourVector second = opposite(first, std::sqrt(momentum * momentum + mass2 * mass2));
    const Boost boost(parent, mass);
    return {boost(first), boost(second)};
}

AprimeDecay decay_aprime(const InelasticModel &model, const FourVector &aprime, Random &random) {
    const auto [chi2, chi1] =
        two_body_decay(aprime, model.mass, model.chi2_mass(), model.chi1_mass(), isotropic_direction(random));
    return {chi1, chi2};
}

Chi2Decayer::Chi2Decayer(const InelasticModel &model, DecayModel decay, double lepton_mass)
    : model_(model), decay_(decay), lepton_mass_(lepton_mass), chi1_mass_(model.chi1_mass()),
      chi2_mass_(model.chi2_mass()), splitting_(model.splitting()), nodes_(cells + 1), guide_(guides + 1),
      quantiles_(quantile_count) {
    model.validate();
    if (model.coupling != Coupling::vector)
        throw std::invalid_argument("decays of chi2 are those of a vector mediator");
    if (!(splitting_ > 2.0 * lepton_mass))
        throw std::domain_error("chi2 -> chi1 l l is closed: Delta is not above 2 m_l");
    model_.epsilon = 1.0; // the shape does not depend on it
    step_ = std::acosh(splitting_ / (2.0 * lepton_mass)) / cells;
    for (std::size_t i = 0; i <= cells; ++i) {
        Node &node = nodes_[i];
        node.cosh = std::cosh(step_ * i);
        node.sinh = std::sinh(step_ * i);
        const double q = 2.0 * lepton_mass * node.cosh;
        if (i > 0 && i < cells)
            node.density = unnormalised_density(q * q) * 4.0 * q * lepton_mass * node.sinh;
    }
    for (std::size_t i = 0; i < cells; ++i)
        nodes_[i + 1].cumulative =
            nodes_[i].cumulative + 0.5 * step_ * (nodes_[i].density + nodes_[i + 1].density);
    const double norm = nodes_.back().cumulative;
    for (Node &node : nodes_) {
        node.density /= norm;
        node.cumulative /= norm;
    }
    for (std::size_t i = 0; i < cells; ++i)
        nodes_[i].slope = (nodes_[i + 1].density - nodes_[i].density) / step_;
    for (std::size_t i = 0, cell = 0; i <= guides; ++i) {
        while (cell + 1 < cells && nodes_[cell + 1].cumulative < static_cast<double>(i) / guides)
            ++cell;
        guide_[i] = cell;
    }
    for (std::size_t i = 0; i < quantile_count; ++i) {
        const double q = q_at((static_cast<double>(i) + 0.5) / quantile_count);
        quantiles_[i] = q * q;
    }
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
    const double eta_density = nodes_[cell].density * (1.0 - fraction) + nodes_[cell + 1].density * fraction;
    return eta_density / (2.0 * q * q_min * std::sinh(eta));
}

double Chi2Decayer::q_at(double cumulative) const {
    std::size_t cell = guide_[static_cast<std::size_t>(cumulative * guides)];
    while (cell + 1 < cells && nodes_[cell + 1].cumulative < cumulative)
        ++cell;
    // Linear density in the cell: the cumulative is quadratic; this root is stable for either sign of the
    // slope.
    const Node &node = nodes_[cell];
    const double rest = std::max(0.0, cumulative - node.cumulative);
    const double root = std::sqrt(std::max(0.0, node.density * node.density + 2.0 * node.slope * rest));
    const double along =
        node.density + root > 0.0 ? std::min(2.0 * rest / (node.density + root), step_) : 0.0;
    // cosh(node + along) with `along` below 0.05: these terms are good to 1e-15.
    const double b = along * along;
    const double cosh_along = 1.0 + b * (0.5 + b * (1.0 / 24.0 + b * (1.0 / 720.0)));
    const double sinh_along = along * (1.0 + b * (1.0 / 6.0 + b * (1.0 / 120.0 + b * (1.0 / 5040.0))));
    return std::min(2.0 * lepton_mass_ * (node.cosh * cosh_along + node.sinh * sinh_along), splitting_);
}

double Chi2Decayer::sample_q2(Random &random) const {
    const double q = q_at(random.uniform());
    return q * q;
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
    const double q = q_at(random.uniform()), q2 = q * q, inverse_q = 1.0 / q;
    const double delta2_minus_q2 = std::max(0.0, (splitting_ - q) * (splitting_ + q));
    const double sum = chi1_mass_ + chi2_mass_;
    // The momentum of the pair in the chi2 frame times m2, and times m2/q that of chi2 in the pair's frame.
    const double momentum_times_mass = 0.5 * std::sqrt(delta2_minus_q2 * (sum - q) * (sum + q));
    const double momentum = momentum_times_mass / chi2_mass_;
    const FourVector direction = isotropic_direction(random);
    const FourVector pair = times(direction, momentum, pair_energy(q2));
    const FourVector chi1 = opposite(pair, chi2_mass_ - pair.energy);

    // Lepton angle against the pair's direction, in the pair's frame: flat, or a + b (1 - beta^2 c^2) with
    // a = D (3 - beta^2)/2, b = P^2, D = (Delta^2 - q^2)/2, P = chi momentum there (contraction of the
    // currents).
    const double lepton_ratio = 2.0 * lepton_mass_ * inverse_q;
    const double beta2 = std::max(0.0, 1.0 - lepton_ratio * lepton_ratio);
    double cosine = random.uniform(-1.0, 1.0);
    if (decay_ == DecayModel::matrix_element) {
        const double chi_momentum = momentum_times_mass * inverse_q;
        cosine =
            invert_angle(0.25 * delta2_minus_q2 * (3.0 - beta2), chi_momentum * chi_momentum, beta2, cosine);
    }
    const Circle phi = circle(random.uniform());
    const double half_q = 0.5 * q, lepton_momentum = half_q * std::sqrt(beta2);
    const double transverse = lepton_momentum * std::sqrt((1.0 - cosine) * (1.0 + cosine));
    // The boost to the chi2 frame is along the pair: only what is along it changes.
    const double gamma = pair.energy * inverse_q, gamma_beta = momentum * inverse_q;
    const double along = lepton_momentum * cosine;
    const double along_minus = gamma * along + gamma_beta * half_q;
    const double along_plus = gamma_beta * half_q - gamma * along;
    const double energy_minus = gamma * half_q + gamma_beta * along;
    const double energy_plus = gamma * half_q - gamma_beta * along;
    const Axes axes = transverse_axes(direction.x, direction.y, direction.z);
    const double tc = transverse * phi.cosine, ts = transverse * phi.sine;
    const double tx = tc * axes.ax + ts * axes.bx, ty = tc * axes.ay + ts * axes.by,
                 tz = tc * axes.az + ts * axes.bz;
    const FourVector lepton_minus{energy_minus, along_minus * direction.x + tx,
                                  along_minus * direction.y + ty, along_minus * direction.z + tz};
    const FourVector lepton_plus{energy_plus, along_plus * direction.x - tx, along_plus * direction.y - ty,
                                 along_plus * direction.z - tz};
    const Boost boost(chi2, chi2_mass_);
    return {boost(chi1), boost(lepton_minus), boost(lepton_plus)};
}

} // namespace na64root
