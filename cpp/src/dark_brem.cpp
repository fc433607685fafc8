#include "na64root/dark_brem.hpp"

#include <array>

#include "quadrature.hpp"

namespace na64root {
namespace {

constexpr double electron_mass2 = units::electron_mass * units::electron_mass;

double cube(double x) {
    return x * x * x;
}

// The angle from the squared sine of its half, which rounding may have put above 1.
double angle_of(double half_sine2) {
    const double sine2 = std::min(1.0, half_sine2), sine = std::sqrt(sine2);
    // Nearly every angle is small; the series is then exact to the last digit and faster.
    if (sine2 < 1e-4)
        return sine * (2.0 + sine2 * (1.0 / 3.0 + sine2 * (0.15 + sine2 * (5.0 / 56.0))));
    return 2.0 * std::asin(sine);
}

// |amplitude|^2 of each coupling as a sum of four structures, docs/physics.md, section 2. A sum over the
// couplings' traces would be as long as it is for the vector, four times.
struct Structures {
    double transverse; // 2 (s^2 + u^2)/(su) P^2 - 8t/(su) [(P.p)^2 + (P.p')^2 + (t2 + M^2) P^2/2]
    double spinless;   // (s + u)^2/(su) P^2 - 4t/(su) (P.k)^2
    double squared;    // ((s + u)/(su))^2 [P^2 t - 4 ((u P.p + s P.p')/(s + u))^2]
    double contact;    // t/(su) P^2
};

Structures structures_of(Coupling coupling, double mass2) {
    switch (coupling) {
    case Coupling::axial:
        return {1.0, 4.0 * electron_mass2 / mass2, 2.0 * mass2 - 8.0 * electron_mass2, 32.0 * electron_mass2};
    case Coupling::scalar:
        return {0.0, 1.0, mass2 - 4.0 * electron_mass2, 0.0};
    case Coupling::pseudoscalar:
        return {0.0, 1.0, mass2, 0.0};
    case Coupling::vector:
        break;
    }
    return {1.0, 0.0, 2.0 * (mass2 + 2.0 * electron_mass2), 0.0};
}

} // namespace

// The fixed quantities of one (energy, x), in the notation of the header: p electron, k A', V = p - k.
struct DarkBremsstrahlung::Kinematics {
    double energy, x;
    double p, k;         // moduli of momenta
    double v0;           // V^0 = E (1-x)
    double u_min, u_max; // at theta = 0 and at the largest angle
    double iww_flux;     // of virtual photons, where it depends on neither x nor angle
    bool open;
};

DarkBremsstrahlung::DarkBremsstrahlung(double mass, const FormFactor &form_factor, double nuclear_mass,
                                       Approximation approximation, double epsilon, Coupling coupling)
    : mass_(mass), form_factor_(form_factor), nuclear_mass_(nuclear_mass), approximation_(approximation),
      epsilon_(epsilon), coupling_(coupling) {
    if (!(mass > 0.0) || !std::isfinite(mass))
        throw std::domain_error("dark bremsstrahlung needs a positive, finite mass");
    if (!(nuclear_mass > 0.0))
        throw std::domain_error("dark bremsstrahlung needs a positive nuclear mass");
    if (!std::isfinite(epsilon))
        throw std::domain_error("dark bremsstrahlung needs a finite epsilon");
    if (coupling != Coupling::vector && approximation != Approximation::etl)
        throw std::invalid_argument("the approximations ww and iww of dark bremsstrahlung are for vectors: "
                                    "other couplings need etl");
}

DarkBremsstrahlung::DarkBremsstrahlung(double mass, const Element &element, Approximation approximation,
                                       double epsilon, Coupling coupling)
    : DarkBremsstrahlung(mass, FormFactor::of(element), element.nuclear_mass(), approximation, epsilon,
                         coupling) {}

namespace {

void require_beam(double energy) {
    if (!(energy > 0.0) || !std::isfinite(energy))
        throw std::domain_error("dark bremsstrahlung needs a positive, finite beam energy");
}

} // namespace

std::pair<double, double> DarkBremsstrahlung::x_range(double energy) const {
    require_beam(energy);
    return {mass_ / energy, 1.0 - units::electron_mass / energy};
}

DarkBremsstrahlung::Kinematics DarkBremsstrahlung::kinematics(double energy, double x, Needs needs) const {
    require_beam(energy);
    Kinematics result{};
    result.energy = energy;
    result.x = x;
    const double mass2 = mass_ * mass_, e = energy, ek = x * energy;
    // Within x_range, without its divisions.
    result.open = ek > mass_ && e * (1.0 - x) > units::electron_mass;
    if (!result.open)
        return result;
    const double k2 = (ek - mass_) * (ek + mass_);
    result.p = std::sqrt((e - units::electron_mass) * (e + units::electron_mass));
    result.k = std::sqrt(k2);
    result.v0 = e * (1.0 - x);
    if (approximation_ == Approximation::etl) {
        // U at theta = 0, free of cancellation: 2 (E E_k - p k) - M^2 multiplied out.
        const double pk = result.p * result.k, e2 = e * e, e2_plus_pk = e2 + pk;
        const double e4_minus_pk2 = e2 * ((e - ek) * (e + ek) + mass2) + electron_mass2 * k2;
        result.u_min =
            (e2_plus_pk * (mass2 * e * (e - ek) + 2.0 * electron_mass2 * k2) + mass2 * e4_minus_pk2) /
            (e2_plus_pk * (e * ek + pk));
        // At the largest angle, or where the recoiling electron-nucleus system has no energy left.
        result.u_max =
            std::min(result.u_min + 4.0 * pk, 2.0 * nuclear_mass_ * (result.v0 - units::electron_mass));
    } else {
        result.u_min = mass2 * (1.0 - x) / x + electron_mass2 * x;
        result.u_max = result.u_min + e * e * x * units::pi * units::pi;
        if (approximation_ == Approximation::ww) // the flux of virtual photons ends at t_min = M^2
            result.u_max = std::min(result.u_max, 2.0 * e * (1.0 - x) * mass_);
    }
    result.open = result.u_max > result.u_min;
    if (approximation_ == Approximation::iww && needs == Needs::flux_too)
        result.iww_flux = flux(std::pow(mass2 / (2.0 * energy), 2), 1e-6);
    return result;
}

// int dt G2(t)/t^2 <A>/(8 M_N^2) over the momentum transfer, A averaged over its azimuth.
Estimate DarkBremsstrahlung::momentum_transfer_integral(const Kinematics &kin, double big_u,
                                                        double relative_tolerance) const {
    const double mass2 = mass_ * mass_, m_n = nuclear_mass_, e = kin.energy;
    const double u = -big_u;
    const double v2 = kin.v0 * kin.v0 - electron_mass2 + big_u; // |V|^2
    const double v = std::sqrt(v2);
    const double boost = 1.0 + kin.v0 / m_n;
    // The limits of t: roots of a t^2 - b t + u^2 = 0.
    const double a = boost * boost - v2 / (m_n * m_n);
    const double b = 4.0 * v2 - 2.0 * big_u * boost;
    const double discriminant = b * b - 4.0 * a * u * u;
    if (!(discriminant > 0.0) || !(b > 0.0))
        return {};
    const double t_max = (b + std::sqrt(discriminant)) / (2.0 * a);
    const double t_min = u * u / (a * t_max);
    if (!(t_max > t_min))
        return {};

    // Direction of V against the beam: p - k cos(theta) and k sin(theta), from 1 - cos(theta).
    const double one_minus_cos = std::max(0.0, big_u - kin.u_min) / (2.0 * kin.p * kin.k);
    const double p_minus_k =
        (e * e * (1.0 - kin.x) * (1.0 + kin.x) - electron_mass2 + mass2) / (kin.p + kin.k);
    const double cos_pv = (p_minus_k + kin.k * one_minus_cos) / v;
    const double sin2_pv = kin.k * kin.k * one_minus_cos * (2.0 - one_minus_cos) / v2;

    // s = s0 + s1 cos(phi): s0 is linear in t, s1^2 = s1_scale (t - t_min)(t_max - t).
    const double s0_constant = kin.p * cos_pv * big_u / v;
    const double s0_slope = kin.p * cos_pv * boost / v - 1.0 - e / m_n;
    const double s1_scale = kin.p * kin.p * sin2_pv * a / v2;

    const double inverse_u = 1.0 / u;
    const Structures weight = structures_of(coupling_, mass2);

    // All nodes of a rule at once, so that the compiler can use vector instructions: log t comes in `values`,
    // with the Jacobian of the variable of integration; the integrand goes out there.
    constexpr std::size_t nodes = 15;
    using Nodes = std::array<double, nodes>;
    const FormFactor form_factor = form_factor_;
    const auto integrand = [&](Nodes &values, const Nodes &jacobian) {
        Nodes ts;
        for (std::size_t i = 0; i < nodes; ++i)
            ts[i] = std::exp(values[i]);
        for (std::size_t i = 0; i < nodes; ++i) {
            const double t = ts[i];
            const double s0 = s0_constant + s0_slope * t;
            const double d_or_less = s0 * s0 - s1_scale * (t - t_min) * (t_max - t);
            const double d = d_or_less > 0.0 ? d_or_less : 1.0;
            const double sign = s0 < 0.0 ? -1.0 : 1.0;
            const double mean_inverse_s = sign / std::sqrt(d);
            const double mean_inverse_s2 = sign * s0 * mean_inverse_s * mean_inverse_s * mean_inverse_s;

            const double p2 = 4.0 * m_n * m_n + t;                                 // P^2
            const double pp0 = 2.0 * m_n * e - 0.5 * t;                            // P.p + s/2
            const double pp_final = 2.0 * m_n * e * (1.0 - kin.x) + 0.5 * (u - t); // P.p'
            // Each a sum of powers of s, averaged over phi; transverse = first + second.
            const double first = 2.0 * p2 * (s0 * inverse_u + u * mean_inverse_s);
            const double bracket = pp0 * pp0 + pp_final * pp_final + 0.5 * (2.0 * mass2 - t - u) * p2;
            const double second =
                -8.0 * t * inverse_u * (0.25 * s0 - (pp0 + 0.5 * p2) + bracket * mean_inverse_s);
            const double ratio = pp_final * inverse_u - 0.5;
            const double squared =
                p2 * t * (inverse_u * inverse_u + 2.0 * inverse_u * mean_inverse_s + mean_inverse_s2) -
                4.0 * (pp0 * pp0 * mean_inverse_s2 + 2.0 * pp0 * ratio * mean_inverse_s + ratio * ratio);
            const double pk0 = pp0 - pp_final; // P.k + s/2
            const double spinless = p2 * (s0 * inverse_u + 2.0 + u * mean_inverse_s) -
                                    4.0 * t * inverse_u * (pk0 * pk0 * mean_inverse_s - pk0 + 0.25 * s0);
            const double contact = p2 * t * inverse_u * mean_inverse_s;
            const double amplitude = weight.transverse * (first + second) + weight.spinless * spinless +
                                     weight.squared * squared + weight.contact * contact;
            const double value = jacobian[i] * form_factor(t) * amplitude / t;
            values[i] = d_or_less > 0.0 ? value : 0.0;
        }
    };

    // Below the screening momentum G2 falls like t^2: what is cut off is below 1e-6 of the plateau.
    const double screening2 = std::max(form_factor_.screening2, form_factor_.inelastic_screening2);
    const double low = std::max(std::log(t_min), -std::log(screening2) - 7.0), high = std::log(t_max);
    // d has its minimum at t = peak and complex zeros at peak +- i width: where the A' goes along the final
    // electron. Three pieces: below, around (stretched by sinh), above it.
    const double curvature = s0_slope * s0_slope + s1_scale;
    const double peak = (0.5 * s1_scale * (t_min + t_max) - s0_constant * s0_slope) / curvature;
    const double d_constant = s0_constant * s0_constant + s1_scale * t_min * t_max;
    const double width2 = d_constant / curvature - peak * peak;
    double center = 0.5 * (low + high), reach = (high - low) / 6.0, stretch = 1.0;
    if (peak > t_min && peak < t_max) {
        stretch = std::sqrt(std::max(width2, 1e-16 * peak * peak)) / peak;
        if (stretch < 1.0) {
            center = std::log(peak);
            reach = 1.5;
        } else {
            stretch = 1.0;
        }
    }
    const double below = std::clamp(center - reach, low, high), above = std::clamp(center + reach, low, high);
    const double eta_low = std::asinh((below - center) / stretch),
                 eta_high = std::asinh((above - center) / stretch);
    // The pieces are [0, 1], [1, 2] and [2, 3] of s; a rule never straddles two.
    const auto piecewise = [&](const Nodes &s, Nodes &values) {
        Nodes jacobian;
        if (s[0] > 1.0 && s[0] < 2.0) {
            for (std::size_t i = 0; i < nodes; ++i) {
                const double growth = std::exp(eta_low + (eta_high - eta_low) * (s[i] - 1.0));
                values[i] = center + stretch * 0.5 * (growth - 1.0 / growth);
                jacobian[i] = (eta_high - eta_low) * stretch * 0.5 * (growth + 1.0 / growth);
            }
        } else {
            const bool first = s[0] < 1.0;
            const double start = first ? low : above, length = first ? below - low : high - above;
            for (std::size_t i = 0; i < nodes; ++i) {
                values[i] = start + length * (s[i] - (first ? 0.0 : 2.0));
                jacobian[i] = length;
            }
        }
        integrand(values, jacobian);
    };
    if (!(high > low))
        return {};
    const Estimate integral =
        quadrature::integrate<15>(piecewise, {0.0, 1.0, 2.0, 3.0}, relative_tolerance,
                                  "the momentum-transfer integral of dark bremsstrahlung");
    const double scale = 1.0 / (8.0 * m_n * m_n);
    return {integral.value * scale, integral.error * scale};
}

// The flux of virtual photons chi = int_tmin^tmax=M^2 dt (t - tmin)/t^2 G2(t).
double DarkBremsstrahlung::flux(double t_min, double relative_tolerance) const {
    const double t_max = mass_ * mass_;
    if (!(t_min < t_max))
        return 0.0;
    return quadrature::integrate<31>(
               [&](double log_t) {
                   const double t = std::exp(log_t);
                   return (1.0 - t_min / t) * form_factor_(t);
               },
               {std::log(t_min), std::log(t_max)}, relative_tolerance,
               "the photon flux of dark bremsstrahlung")
        .value;
}

Estimate DarkBremsstrahlung::density_estimate(const Kinematics &kin, double u,
                                              double relative_tolerance) const {
    const double e = kin.energy, x = kin.x;
    const double common = epsilon_ * epsilon_ * cube(units::alpha) * units::inverse_GeV2_in_pb;
    if (approximation_ == Approximation::etl) {
        const double v = std::sqrt(kin.v0 * kin.v0 - electron_mass2 + u);
        const double factor = common * e / (2.0 * kin.p * kin.p * v); // dcos(theta) = dU/(2 p k)
        const Estimate integral = momentum_transfer_integral(kin, u, relative_tolerance);
        return {factor * integral.value, factor * integral.error};
    }
    const double mass2 = mass_ * mass_;
    const double photons = approximation_ == Approximation::iww
                               ? kin.iww_flux
                               : flux(std::pow(u / (2.0 * e * (1.0 - x)), 2), relative_tolerance);
    const double amplitude = 2.0 * (2.0 - 2.0 * x + x * x) / (1.0 - x) +
                             4.0 * (mass2 + 2.0 * electron_mass2) *
                                 (-u * x + mass2 * (1.0 - x) + electron_mass2 * x * x) / (u * u);
    const double velocity = std::sqrt((x - mass_ / e) * (x + mass_ / e));
    // dcos(theta) = theta dtheta = dU/(2 E^2 x)
    const double value = 2.0 * common * velocity * (1.0 - x) * photons * amplitude / (u * u) / (2.0 * x);
    return {value, relative_tolerance * std::abs(value)};
}

std::pair<double, double> DarkBremsstrahlung::u_range(double energy, double x) const {
    const Kinematics kin = kinematics(energy, x);
    return kin.open ? std::pair{kin.u_min, kin.u_max} : std::pair{0.0, 0.0};
}

double DarkBremsstrahlung::density(double energy, double x, double u) const {
    const Kinematics kin = kinematics(energy, x);
    if (!kin.open || !(u >= kin.u_min) || !(u <= kin.u_max))
        return 0.0;
    return density_estimate(kin, u, 1e-4).value;
}

double DarkBremsstrahlung::angle(double energy, double x, double u) const {
    const Kinematics kin = kinematics(energy, x);
    if (!kin.open)
        throw std::domain_error("no angle at an x outside the kinematic range");
    return angle_from_excess(kin, std::max(0.0, u - kin.u_min));
}

double DarkBremsstrahlung::angle_from_excess(const Kinematics &kin, double excess) const {
    if (approximation_ != Approximation::etl)
        return std::sqrt(excess / (kin.energy * kin.energy * kin.x));
    return angle_of(excess / (4.0 * kin.p * kin.k));
}

double DarkBremsstrahlung::sampled_angle(double energy, double x, double fraction) const {
    const Kinematics kin = kinematics(energy, x, Needs::angle_only);
    if (!kin.open)
        return 0.0;
    const double r_min = std::sqrt(kin.u_min / kin.u_max), r = r_min + (1.0 - r_min) * fraction, r2 = r * r;
    const double excess = kin.u_min * std::max(0.0, 1.0 - r2); // times r^2: one division for all
    if (approximation_ != Approximation::etl)
        return std::sqrt(excess / (energy * energy * x * r2));
    return angle_of(excess / (4.0 * kin.p * kin.k * r2));
}

Estimate DarkBremsstrahlung::differential(double energy, double x, double theta) const {
    const Kinematics kin = kinematics(energy, x);
    if (!kin.open || !(theta >= 0.0) || !(theta <= units::pi))
        return {};
    double u, jacobian;
    if (approximation_ == Approximation::etl) {
        const double half_sine = std::sin(0.5 * theta);
        u = kin.u_min + 4.0 * kin.p * kin.k * half_sine * half_sine;
        jacobian = 2.0 * kin.p * kin.k * std::sin(theta);
    } else {
        u = kin.u_min + energy * energy * x * theta * theta;
        jacobian = 2.0 * energy * energy * x * theta;
    }
    if (u > kin.u_max)
        return {};
    const Estimate density = density_estimate(kin, u, 1e-5);
    return {density.value * jacobian, density.error * jacobian};
}

Estimate DarkBremsstrahlung::dsigma_dx(double energy, double x, double relative_tolerance) const {
    const Kinematics kin = kinematics(energy, x);
    if (!kin.open)
        return {};
    // The density falls like 1/U^2: in r = sqrt(U_min/U) it is nearly linear.
    return quadrature::integrate<15>(
        [&](double r) {
            const double u = kin.u_min / (r * r);
            const Estimate density = density_estimate(kin, u, 0.4 * relative_tolerance);
            const double jacobian = 2.0 * u / r;
            return Estimate{density.value * jacobian, density.error * jacobian};
        },
        {std::sqrt(kin.u_min / kin.u_max), 1.0}, 0.6 * relative_tolerance,
        "the angular integral of dark bremsstrahlung");
}

Estimate DarkBremsstrahlung::x_integral(double energy, double relative_tolerance, double x_min,
                                        bool times_x) const {
    auto [x_low, x_high] = x_range(energy);
    x_low = std::max(x_low, x_min);
    if (!(x_low < x_high))
        return {};
    const double y_low = -std::log1p(-x_low), y_high = -std::log1p(-x_high);
    // Two pieces; this split needs the fewest bisections over masses from 1 MeV to 3 GeV.
    return quadrature::integrate<15>(
        [&](double y) {
            const double one_minus_x = std::exp(-y), x = 1.0 - one_minus_x;
            const Estimate cross_section = dsigma_dx(energy, x, 0.4 * relative_tolerance);
            const double weight = one_minus_x * (times_x ? x : 1.0);
            return Estimate{cross_section.value * weight, cross_section.error * weight};
        },
        {y_low, y_low + 0.37 * (y_high - y_low), y_high}, 0.6 * relative_tolerance,
        "the total cross section of dark bremsstrahlung");
}

Estimate DarkBremsstrahlung::total(double energy, double relative_tolerance, double x_min) const {
    return x_integral(energy, relative_tolerance, x_min, false);
}

Estimate DarkBremsstrahlung::mean_x(double energy, double relative_tolerance) const {
    const Estimate norm = x_integral(energy, relative_tolerance, 0.0, false);
    if (!(norm.value > 0.0))
        throw std::domain_error("no mean x where dark bremsstrahlung is closed");
    const Estimate first = x_integral(energy, relative_tolerance, 0.0, true);
    return {first.value / norm.value, (first.error + norm.error) / norm.value};
}

namespace {

// Position in [0, 1] of a density that runs linearly from `start` to `end`.
double sample_linear(double start, double end, double u) {
    const double sum = start + end;
    if (!(sum > 0.0))
        return u;
    // Root of start s + (end - start) s^2/2 = u sum/2, in the form that is stable for either slope.
    return u * sum / (start + std::sqrt(start * start + u * (end - start) * sum));
}

} // namespace

DarkBremSampler::DarkBremSampler(const DarkBremsstrahlung &cross_section, double energy, std::size_t x_cells,
                                 std::size_t angle_cells)
    : formula_(cross_section), energy_(energy), angle_cells_(angle_cells) {
    if (x_cells < 2 || angle_cells == 0 || x_cells * angle_cells > std::numeric_limits<std::uint32_t>::max())
        throw std::invalid_argument(
            "a sampler of dark bremsstrahlung needs at least 2 x 1 cells, below 2^32");
    const auto [x_low, x_high] = formula_.x_range(energy);
    if (!(x_low < x_high))
        throw std::domain_error("dark bremsstrahlung is closed at this energy");
    y_low_ = -std::log1p(-x_low);
    y_range_ = -std::log1p(-x_high) - y_low_;
    x_cell_width_ = 1.0 / static_cast<double>(x_cells);
    angle_cell_width_ = 1.0 / static_cast<double>(angle_cells);
    const double y_step = y_range_ * x_cell_width_;
    corners_.assign((x_cells + 1) * (angle_cells + 1), 0.0);
    for (std::size_t i = 1; i < x_cells; ++i) { // nothing at either end of x
        const double one_minus_x = std::exp(-(y_low_ + y_step * static_cast<double>(i))),
                     x = 1.0 - one_minus_x;
        const auto [u_min, u_max] = formula_.u_range(energy, x);
        if (!(u_min < u_max))
            continue;
        const double r_min = std::sqrt(u_min / u_max);
        for (std::size_t j = 0; j <= angle_cells; ++j) {
            const double r =
                r_min + (1.0 - r_min) * static_cast<double>(j) / static_cast<double>(angle_cells);
            const double u = std::clamp(u_min / (r * r), u_min, u_max);
            corners_[i * (angle_cells + 1) + j] =
                std::max(0.0, formula_.density(energy, x, u) * one_minus_x * 2.0 * u / r * (1.0 - r_min));
        }
    }

    // Vose's alias table over the cells.
    const std::size_t count = x_cells * angle_cells;
    std::vector<double> weights(count);
    double sum = 0.0;
    for (std::size_t i = 0; i < x_cells; ++i)
        for (std::size_t j = 0; j < angle_cells; ++j)
            sum += weights[i * angle_cells + j] =
                corner(i, j) + corner(i + 1, j) + corner(i, j + 1) + corner(i + 1, j + 1);
    if (!(sum > 0.0))
        throw std::domain_error("dark bremsstrahlung is closed at this energy");
    total_ = 0.25 * sum * y_step / static_cast<double>(angle_cells);
    alias_.resize(count);
    std::vector<std::uint32_t> small, large;
    for (std::uint32_t k = 0; k < count; ++k) {
        weights[k] *= static_cast<double>(count) / sum;
        const auto row = static_cast<std::uint32_t>(k / angle_cells);
        alias_[k] = {1.0, {k, k}, {row, row}};
        (weights[k] < 1.0 ? small : large).push_back(k);
    }
    while (!small.empty() && !large.empty()) {
        const std::uint32_t below = small.back(), above = large.back();
        small.pop_back();
        alias_[below].threshold = weights[below];
        alias_[below].cell[1] = above;
        alias_[below].row[1] = alias_[above].row[0];
        weights[above] -= 1.0 - weights[below];
        if (weights[above] < 1.0) {
            large.pop_back();
            small.push_back(above);
        }
    }
}

DarkBremSampler::Fractions DarkBremSampler::fractions(Random &random) const {
    const auto first = static_cast<std::size_t>(random.uniform() * static_cast<double>(alias_.size()));
    const Alias &alias = alias_[first];
    // An index instead of a branch, which would be predicted wrongly every other time.
    const std::size_t choice = random.uniform() > alias.threshold;
    const std::size_t cell = alias.cell[choice], i = alias.row[choice];
    const std::size_t j = cell - i * angle_cells_;
    const double *near_row = &corners_[i * (angle_cells_ + 1) + j], *far_row = near_row + angle_cells_ + 1;
    const double s = sample_linear(near_row[0] + near_row[1], far_row[0] + far_row[1], random.uniform());
    const double near = near_row[0] + s * (far_row[0] - near_row[0]);
    const double far = near_row[1] + s * (far_row[1] - near_row[1]);
    const double along = sample_linear(near, far, random.uniform());
    return {(static_cast<double>(i) + s) * x_cell_width_,
            (static_cast<double>(j) + along) * angle_cell_width_};
}

DarkBremSample DarkBremSampler::operator()(Random &random) const {
    const auto [along_x, along_angle] = fractions(random);
    const double x = 1.0 - std::exp(-(y_low_ + y_range_ * along_x));
    return {x, formula_.sampled_angle(energy_, x, along_angle)};
}

DarkBremSamplerTable::DarkBremSamplerTable(const DarkBremsstrahlung &cross_section, double lowest,
                                           double highest, std::size_t energies, std::size_t x_cells,
                                           std::size_t angle_cells)
    : formula_(cross_section) {
    if (!(lowest > 0.0) || !(highest > lowest) || !std::isfinite(highest) || energies < 2)
        throw std::invalid_argument(
            "a table of samplers needs 0 < lowest < highest and two energies or more");
    const auto open = [&](double energy) {
        const auto [x_low, x_high] = formula_.x_range(energy);
        return x_low < x_high;
    };
    if (!open(highest))
        throw std::domain_error("dark bremsstrahlung is closed at the highest energy of the table");
    // Close to its threshold, M + m_e, the cross section is negligible: the table starts above it.
    lowest_ = std::max(lowest, std::min(1.02 * (formula_.mass() + units::electron_mass), 0.999 * highest));
    highest_ = highest;
    log_lowest_ = std::log(lowest_);
    log_step_ = (std::log(highest_) - log_lowest_) / static_cast<double>(energies - 1);
    samplers_.reserve(energies);
    for (std::size_t i = 0; i < energies; ++i) {
        const double energy =
            i + 1 == energies ? highest_ : lowest_ * std::exp(log_step_ * static_cast<double>(i));
        samplers_.emplace_back(formula_, energy, x_cells, angle_cells);
        log_cross_sections_.push_back(std::log(samplers_.back().cross_section()));
    }
}

DarkBremSamplerTable::Position DarkBremSamplerTable::position(double energy) const {
    if (!(energy <= highest_ * (1.0 + 1e-12)))
        throw std::domain_error("an energy above the table of dark bremsstrahlung");
    if (energy < lowest_)
        return {0, -1.0};
    const double steps = std::max(0.0, (std::log(energy) - log_lowest_) / log_step_);
    const std::size_t lower = std::min(static_cast<std::size_t>(steps), samplers_.size() - 2);
    return {lower, std::min(1.0, steps - static_cast<double>(lower))};
}

double DarkBremSamplerTable::cross_section(double energy) const {
    const auto [lower, above] = position(energy);
    if (above < 0.0)
        return 0.0;
    return std::exp((1.0 - above) * log_cross_sections_[lower] + above * log_cross_sections_[lower + 1]);
}

DarkBremSample DarkBremSamplerTable::operator()(double energy, Random &random) const {
    const auto [lower, above] = position(energy);
    if (above < 0.0)
        throw std::domain_error("no dark bremsstrahlung below the lowest energy of the table");
    const std::size_t index = lower + (random.uniform() < above ? 1 : 0);
    const auto [along_x, along_angle] = samplers_[index].fractions(random);
    const auto [x_low, x_high] = formula_.x_range(energy);
    // (1 - x) runs from 1 - x_low to 1 - x_high, in its logarithm.
    const double y_low = -std::log1p(-x_low), y_high = -std::log1p(-x_high);
    const double x = 1.0 - std::exp(-(y_low + (y_high - y_low) * along_x));
    return {x, formula_.sampled_angle(energy, x, along_angle)};
}

} // namespace na64root
